// Bodies of requests: JSON, and vectors as NDJSON or in a form, within bounds.

import { Refusal, refuse } from "./answers.js";

// A Worker has 128 MB for all that it does at once, and a body takes up to five times its size.
const MAX_BODY = 16 * 2 ** 20;
const MAX_BODIES = 20 * 2 ** 20;
let held = 0;

/** What `work` makes of the text of the body, which counts until it is done. */
export async function withBody(request, work) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let size = 0;
  let counted = 0;
  let text = "";
  let refused = null;
  try {
    // One that is refused is read to its end too: who still sends may not see an answer.
    for await (const chunk of request.body ?? []) {
      size += chunk.byteLength;
      if (refused) continue;
      counted += chunk.byteLength;
      held += chunk.byteLength;
      text += decoded(decoder, chunk);
      if (size > MAX_BODY) refused = [`a body has at most ${MAX_BODY} bytes: send less at once`, 413];
      else if (held > MAX_BODIES) refused = ["busy with other bodies", 503, { "Retry-After": "1" }];
      if (refused) {
        held -= counted;
        counted = 0;
        text = "";
      }
    }
    if (refused) refuse(...refused);
    return await work(text + decoded(decoder));
  } finally {
    held -= counted;
  }
}

function decoded(decoder, chunk) {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    return unreadable("not UTF-8");
  }
}

/** The body as a JSON object. */
export function jsonObject(request, text) {
  if (mediaType(request) !== "application/json") {
    throw new Refusal(400, 40026, "Expected request with `Content-Type: application/json`");
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    unreadable(error.message);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) unreadable("expected an object");
  return body;
}

export function unreadable(why) {
  throw new Refusal(400, 40026, `Failed to parse the request body as JSON: ${why}`);
}

/** The vectors of a write; lines that are none are left out, or refused. */
export async function vectors(request, text, verb, discard) {
  const isForm = mediaType(request) === "multipart/form-data";
  if (!isForm && mediaType(request) !== "application/x-ndjson") {
    throw new Refusal(400, 1005, "vectorize.unknown_content_type");
  }
  const lines = (isForm ? await fileOf(request, text) : text).split("\n");
  const found = [];
  for (const [at, line] of lines.entries()) {
    const vector = line.trim() && parsed(line);
    if (vector) found.push(vector);
    else if (vector === null && !discard) {
      const prefix = isForm ? "" : "vectorize.upstream_error - ";
      const where = `ndjson format: line Some(${at}) was not expected format`;
      throw new Refusal(400, 40023, `${prefix}failed to parse ${verb} vectors request in ${where}`);
    }
  }
  return found;
}

function parsed(line) {
  try {
    const vector = JSON.parse(line);
    return typeof vector?.id === "string" && Array.isArray(vector.values) ? vector : null;
  } catch {
    return null;
  }
}

/** The field `vectors` of a form, or its only file. */
async function fileOf(request, text) {
  const headers = { "Content-Type": request.headers.get("Content-Type") };
  let form;
  try {
    form = await new Response(text, { headers }).formData();
  } catch {
    refuse("the form cannot be read");
  }
  const files = form.has("vectors") ? [form.get("vectors")] : [...form.values()];
  if (files.length !== 1) refuse("a form has a field `vectors`, or one file");
  return typeof files[0] === "string" ? files[0] : files[0].text();
}

const mediaType = (request) =>
  (request.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
