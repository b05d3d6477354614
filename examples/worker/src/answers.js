// Results and refusals in the envelope of Cloudflare's API.

/** The code of a call that no binding has. The Python client makes an `UnsupportedCallError` of it. */
const UNSUPPORTED = 49997;
/** The code of other refusals of this gateway. */
const OURS = 49996;
/** The statuses of codes; all others of the service are 400. */
const STATUSES = { 971: 429, 3000: 404, 3005: 410, 10000: 403, 40041: 429 };

export class Refusal extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}

export function success(result) {
  return Response.json({ success: true, errors: [], messages: [], result });
}

export function failure(error) {
  const { status, code, message, headers } = error instanceof Refusal ? error : unknown(error);
  const envelope = { success: false, errors: [{ code, message }], messages: [], result: null };
  return Response.json(envelope, { status, headers });
}

export function noRoute() {
  throw new Refusal(404, 7003, "No route for the URI.");
}

export function refuse(message, status = 400, headers = {}) {
  throw new Refusal(status, OURS, `gateway: ${message}`, headers);
}

export function unsupported(what) {
  const message = `gateway: ${what}; only Cloudflare's REST API can: VectorizeClient without base_url=`;
  throw new Refusal(405, UNSUPPORTED, message);
}

/** What a call of a Vectorize binding returns; its errors as those of the API. */
export async function ofBinding(call) {
  try {
    return await call;
  } catch (error) {
    const text = String(error?.message ?? error);
    const [, code, message] = /^[A-Z_]+_ERROR \(code = (\d+)\): (.*)$/s.exec(text) ?? [];
    if (code === undefined) throw error;
    throw new Refusal(STATUSES[code] ?? 400, Number(code), message);
  }
}

/** What is no refusal of the service: it, or the way to it, failed. Clients may try again. */
function unknown(error) {
  return new Refusal(502, OURS, `gateway: ${error?.message ?? error}`);
}
