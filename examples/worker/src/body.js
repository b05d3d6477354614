// Bodies of requests: JSON, and vectors as NDJSON or in a form, within bounds.

import { Refusal, refuse } from "./answers.js";

// A Worker has 128 MB for all that it does at once, and a body takes up to five times its size.
const MAX_BODY = 16 * 2 ** 20;
const MAX_BODIES = 20 * 2 ** 20;
// The runtime ends some requests without their `finally`: what has not moved for so long is not there.
const MAX_STILL = 60_000;
const bodies = new Set();

/** What `work` makes of the text of the body, which counts until it is done. */
export async function withBody(request, work) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const body = { size: 0, moved: Date.now() };
  let text = "";
  let refused = null;
  try {
    // One that is refused is read to its end too: who still sends may not see an answer.
    for await (const chunk of request.body ?? []) {
      if (refused) continue;
      bodies.add(body);
      body.size += chunk.byteLength;
      body.moved = Date.now();
      text += decoded(decoder, chunk);
      if (body.size > MAX_BODY) refused = [`a body has at most ${MAX_BODY} bytes: send less at once`, 413];
      else if (held() > MAX_BODIES) refused = ["busy with other bodies", 503, { "Retry-After": "1" }];
      if (refused) {
        bodies.delete(body);
        text = "";
      }
    }
    if (refused) refuse(...refused);
    return await work(text + decoded(decoder));
  } finally {
    bodies.delete(body);
  }
}

/** The bytes of all bodies. */
function held() {
  let size = 0;
  for (const body of bodies) {
    if (Date.now() - body.moved > MAX_STILL) bodies.delete(body);
    else size += body.size;
  }
  return size;
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
  checkIntegers(text);
  if (typeof body !== "object" || body === null || Array.isArray(body)) unreadable("expected an object");
  return body;
}

export function unreadable(why) {
  throw new Refusal(400, 40026, `Failed to parse the request body as JSON: ${why}`);
}

// An integer that may be more than 2^53, which JavaScript would change; or a text that looks like one.
const LARGE = /[\s:,[-]\d{16,}\s*[,\]}]/;

/** Refuse integers of a JSON text that are no number of JavaScript. */
function checkIntegers(text, where = "") {
  if (!LARGE.test(text)) return;
  JSON.parse(text, (key, value, { source }) => {
    if (/^-?\d{16,}$/.test(source) && String(value) !== source) {
      refuse(`${where}${key} is ${source}, an integer that JavaScript would change: send it as a text`);
    }
    return value;
  });
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
    if (vector) {
      checkIntegers(line, `${vector.id}: `);
      found.push(vector);
    } else if (vector === null && !discard) {
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
