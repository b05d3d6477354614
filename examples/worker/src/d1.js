// D1's paths, carried out on the bindings that the variable DATABASES names.

import { noRoute, Refusal, refuse, success } from "./answers.js";
import { jsonObject, unreadable, withBody } from "./body.js";
import { entry } from "./variables.js";

// https://developers.cloudflare.com/d1/observability/debug-d1/
const PASSING = /\breset\b|overload|\blost\b|timed? ?out|internal error|transient|queued/i;

/** A batch has rows as objects, in the order of their columns; columns of one name are one. */
function asRows(objects) {
  const columns = Object.keys(objects[0] ?? {});
  // JavaScript puts those first that are named like an index of an array.
  if (columns.length > 1 && /^\d+$/.test(columns[0])) {
    refuse(`the batch is done, but its columns have lost their order: give "${columns[0]}" another name (AS)`);
  }
  return { columns, rows: objects.map(Object.values) };
}

/** The answer to a request below `/d1/database`. */
export async function onDatabase(request, env, [id, form, ...more]) {
  if (!["query", "raw"].includes(form) || more.length || request.method !== "POST") noRoute();
  const named = env[entry(env, "DATABASES", id)];
  if (!named) refuse(`DATABASES names no binding for ${id}`, 404);
  const statements = await withBody(request, (text) => statementsOf(jsonObject(request, text)));
  return success(await run(named, statements, form === "raw"));
}

function statementsOf(body) {
  const given = body.batch ?? [body];
  const isStatement = (one) => typeof one?.sql === "string" && Array.isArray(one.params ?? []);
  if (!Array.isArray(given) || !given.every(isStatement)) unreadable("expected sql with params, or a batch of them");
  return given.map(({ sql, params }) => ({ sql, params: params ?? [] }));
}

/** The results of statements, which are one transaction. */
async function run(database, statements, raw) {
  try {
    const prepared = statements.map(({ sql, params }) => database.prepare(sql).bind(...params));
    if (raw && prepared.length === 1) {
      const [columns, ...rows] = await prepared[0].raw({ columnNames: true });
      return [{ success: true, meta: {}, results: { columns: columns ?? [], rows } }];
    }
    const done = await database.batch(prepared);
    return done.map(({ success, meta, results }) => ({ success, meta, results: raw ? asRows(results) : results }));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const text = String(error?.message ?? error).replace(/^D1_\w*ERROR: /, "");
    const passes = PASSING.test(text) && !text.includes("SQLITE_");
    throw new Refusal(passes ? 503 : 400, 7500, text);
  }
}
