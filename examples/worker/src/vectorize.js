// Vectorize's paths, carried out on the bindings that the variable INDEXES names.

import { noRoute, ofBinding, Refusal, refuse, success, unsupported } from "./answers.js";
import { jsonObject, unreadable, vectors, withBody } from "./body.js";
import { entry, variable } from "./variables.js";

// What a binding takes in one write; the API takes 5,000. A larger one is not divided here, for then
// it could be refused in part.
const MAX_VECTORS = 1_000;

const LEVELS = ["none", "indexed", "all"];

const CALLS = {
  "GET info": (index) => ofBinding(index.binding.describe()).then(success),
  "POST query": (index, request) => withJson(request, (body) => query(index, body)),
  "POST insert": (index, request, params) => write(index, request, params, "insert"),
  "POST upsert": (index, request, params) => write(index, request, params, "upsert"),
  "POST get_by_ids": (index, request) => withIds(request, (ids) => index.binding.getByIds(ids)),
  "POST delete_by_ids": (index, request) => withIds(request, (ids) => index.binding.deleteByIds(ids)),
  "GET ": (index) => details(index).then(success),
  "GET metadata_index/list": (index) => success({ metadataIndexes: filterable(index) }),
  "DELETE ": () => unsupported("a binding deletes no index"),
  "GET list": () => unsupported("a binding lists no ids"),
  "POST metadata_index/create": () => unsupported("a binding makes no metadata index"),
  "POST metadata_index/delete": () => unsupported("a binding deletes no metadata index"),
};

/** The answer to a request below `/indexes`. */
export async function onIndexes(request, env, [name, ...rest], params) {
  if (name === undefined && request.method === "GET") return success(await all(env));
  if (name === undefined && request.method === "POST") return withJson(request, (body) => create(env, body));
  const call = name && CALLS[`${request.method} ${rest.join("/")}`];
  if (!call) noRoute();
  return call(indexOf(env, name), request, params);
}

function indexOf(env, name) {
  const given = entry(env, "INDEXES", name);
  if (!given) throw new Refusal(404, 3000, `vectorize.index.not_found - Index name "${name}"`);
  const binding = env[given.binding];
  if (!binding) refuse(`INDEXES names the binding ${given.binding}, which this Worker does not have`);
  return { ...given, name, binding };
}

async function all(env) {
  const found = Object.keys(variable(env, "INDEXES")).map(async (name) => details(indexOf(env, name)));
  return (await Promise.allSettled(found)).filter((one) => !isLeftOut(one)).map(valueOf);
}

/** Whether an index is gone, or INDEXES is wrong about it: asked for it alone, the gateway says how. */
const isLeftOut = ({ reason }) => reason instanceof Refusal && [400, 404, 410].includes(reason.status);

function valueOf({ reason, value }) {
  if (reason) throw reason;
  return value;
}

/** An index as `GET /indexes/NAME` tells it. */
async function details({ name, binding, config, description, created_on, modified_on }) {
  const { dimensions } = await ofBinding(binding.describe());
  if (!config?.metric) refuse(`INDEXES does not say the metric of ${name} (config.metric)`);
  if ((config.dimensions ?? dimensions) !== dimensions) {
    refuse(`INDEXES is of another ${name}: this one has ${dimensions} dimensions`);
  }
  config = { dimensions, metric: config.metric };
  return { name, description: description ?? "", config, created_on, modified_on: modified_on ?? created_on };
}

function filterable({ name, metadataIndexes }) {
  if (metadataIndexes) return metadataIndexes;
  return unsupported(`a binding lists no metadata indexes, and INDEXES has no metadataIndexes of ${name}`);
}

/** An index that exists is refused as the API does, so that clients which ask for one go on. */
function create(env, { name }) {
  if (!entry(env, "INDEXES", name)) unsupported("a binding makes no index");
  throw new Refusal(400, 3002, `vectorize.index.duplicate_name - Index name "${name}"`);
}

function query({ binding }, { vector, vectorId, ...options }) {
  const level = options.returnMetadata ?? "none";
  if (typeof level === "boolean") unreadable("returnMetadata: expected value");
  if (!LEVELS.includes(level)) unreadable(`returnMetadata: expected one of ${LEVELS.join(", ")}`);
  if ((vector == null) === (vectorId == null)) unreadable("expected one of vector and vectorId");
  if (vector == null) return binding.queryById(vectorId, options);
  if (!Array.isArray(vector)) unreadable("vector: expected an array");
  return binding.query(vector, options);
}

async function write({ binding }, request, params, verb) {
  const discard = params.get("unparsable-behavior") === "discard";
  return withBody(request, async (text) => {
    const found = await vectors(request, text, verb, discard);
    if (found.length > MAX_VECTORS) {
      refuse(`a binding takes ${MAX_VECTORS} vectors in a write, got ${found.length}: send fewer (batch_size=)`);
    }
    return success(await ofBinding(binding[verb](found)));
  });
}

async function withJson(request, call) {
  const body = await withBody(request, (text) => jsonObject(request, text));
  return success(await ofBinding(call(body)));
}

function withIds(request, call) {
  return withJson(request, (body) => {
    const ids = body.ids ?? [];
    if (!Array.isArray(ids)) unreadable("ids: expected an array");
    return call(ids);
  });
}
