// The page's requests. Every answer is {ok, result} or {ok: false, error}; an error becomes a Refusal.
import { decoded } from "./format.js";
import { json } from "./jsontext.js";
import { signal } from "./lib.js";

const BASE = "_/page/";
const KEPT = "vectorize-token";
const SENDABLE = /^[!-~]+$/; // by a header; no server has another token

/** Whether the server has refused the token that it was given, or the lack of one. */
export const tokenNeeded = signal(false);

let token = remembered();

/** What the server answered instead of a result, or why there is no answer. */
export class Refusal extends Error {
  constructor({ type, message, at = null, hint = null }, status) {
    super(message);
    Object.assign(this, { type, at, hint, status });
  }
}

/** Sends this token from now on; it is kept until the tab is closed. */
export function useToken(given) {
  token = given;
  tokenNeeded.value = false;
  try {
    if (given) sessionStorage.setItem(KEPT, given);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Without storage it is asked for again after a reload.
  }
}

export function hasToken() {
  return Boolean(token);
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body, signal) => call("POST", path, { body, signal });
export const put = (path, body) => call("PUT", path, { body });
export const remove = (path, body) => call("DELETE", path, { body });

/** The path of an index, or of something of it. */
export const ofIndex = (name, ...rest) => ["indexes", encodeURIComponent(name), ...rest].join("/");

/** Calls `opened()`, then `heard(event, data)` for each server-sent event, until the stream ends. */
export async function listen(path, query, opened, heard, signal) {
  const answer = await send("GET", path, { query, signal });
  if (!answer.ok || !answer.body) throw await refusal(answer);
  opened();
  let rest = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = block.split(/\r?\n/).map((line) => /^(\w+): ?(.*)$/.exec(line) ?? ["", "", ""]);
      const data = fields.filter(([, name]) => name === "data").map(([, , text]) => text).join("\n");
      if (data) heard(fields.find(([, name]) => name === "event")?.[2] ?? "message", JSON.parse(data));
    }
  }
}

async function call(method, path, options) {
  const answer = await send(method, path, options);
  if (!answer.ok) throw await refusal(answer);
  const { result } = await answer.json();
  return result;
}

async function send(method, path, { query = {}, body, signal }) {
  if (token && !SENDABLE.test(token)) {
    tokenNeeded.value = true;
    throw new Refusal({ type: "TokenNeeded", message: "No server has this token." });
  }
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const headers = { "x-vectorize-page": "1" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = { method, headers, signal, cache: "no-store", body: body && json(body) };
  try {
    return await fetch(`${BASE}${path}${search}`, sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({
      type: "Unreachable",
      message: "The server does not answer.",
      hint: "It may have been stopped. Start it again in the terminal, then try once more.",
    });
  }
}

async function refusal(answer) {
  let error = { type: `HTTP ${answer.status}`, message: `The server answered with status ${answer.status}.` };
  try {
    error = (await answer.json()).error ?? error;
  } catch {
    // Something between the page and the server answered; its status has to do.
  }
  if (error.type === "TokenNeeded") tokenNeeded.value = true;
  return new Refusal(error, answer.status);
}

// A command may open the page with #token=...: taken, and out of the address before anything else.
function remembered() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    history.replaceState(null, "", location.pathname);
    const found = decoded(given[1]);
    try {
      sessionStorage.setItem(KEPT, found);
    } catch {
      // As above.
    }
    return found;
  }
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
