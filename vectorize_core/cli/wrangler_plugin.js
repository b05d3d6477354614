// Made by `vectorize-stores wrangler`, which also takes it out again (--remove).
// A plugin of wrangler dev: Vectorize bindings that are answered by a local server.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const NAME = "vectorize-local";

// What the configuration was made from; one that has changed since has to be made again.
const { config, sha256 } = JSON.parse(readFileSync(new URL("made-from.json", import.meta.url)));
const now = createHash("sha256").update(readFileSync(new URL(`../${config}`, import.meta.url)));
if (now.digest("hex") !== sha256) {
  console.warn(`${config} has changed: run \`vectorize-stores wrangler\` again, so that wrangler dev knows`);
}

// Miniflare 5 gives all options of a Worker, Miniflare 4 a list of this plugin's bindings.
const bound = (given) => Array.isArray(given) ? given : Object.entries(given?.config?.env ?? {})
  .filter(([, binding]) => binding.dev?.plugin?.name === NAME)
  .map(([name, binding]) => ({ name, options: binding.dev.options }));

// All Workers of one wrangler dev share their services, and may give one name to different bindings.
const service = ({ index, address }) => `vectorize:${index}:${address}`;

const headers = (options) => [
  { name: "x-vectorize-index", value: options.index },
  { name: "Authorization", value: `Bearer ${process.env.VECTORIZE_SERVER_TOKEN ?? "any"}` },
];

export const plugins = { [NAME]: {
  getBindings: (given) => bound(given).map(({ name, options }) => ({ name, wrapped: {
    moduleName: "cloudflare-internal:vectorize-api",
    innerBindings: [
      { name: "fetcher", service: { name: service(options) } },
      { name: "indexId", text: options.index },
      { name: "indexVersion", text: "v2" },
      { name: "useNdJson", json: "true" },
    ] } })),
  getServices: ({ options: given }) => bound(given).map(({ options }) => ({
    name: service(options),
    external: { address: options.address, http: { injectRequestHeaders: headers(options) } },
  })),
  getNodeBindings: () => ({}),
} };
