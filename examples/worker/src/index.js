// Cloudflare's REST API for Vectorize and D1, answered from a Worker's bindings.
//
// Services outside Cloudflare send here what they would send to api.cloudflare.com, and pass by the
// rate limit of an account. README.md says how to set it up.

import { failure, noRoute, Refusal } from "./answers.js";
import { isAllowed } from "./auth.js";
import { onDatabase } from "./d1.js";
import { onIndexes } from "./vectorize.js";

// Any account: the bindings are of one.
const PATH = /^\/client\/v4\/accounts\/[^/]+\/(vectorize\/v2\/indexes|d1\/database)(?:\/(.*))?$/;
const AREAS = { "vectorize/v2/indexes": onIndexes, "d1/database": onDatabase };

export default {
  fetch(request, env, context) {
    const answer = answerTo(request, env).catch(failure);
    // A client that goes away would end it in the middle, without any `finally`.
    context.waitUntil(answer);
    return answer;
  },
};

async function answerTo(request, env) {
  if (!(await isAllowed(request, env.GATEWAY_TOKEN))) {
    throw new Refusal(401, 10000, "Authentication error");
  }
  const url = new URL(request.url);
  const [, area, rest] = PATH.exec(url.pathname) ?? noRoute();
  const names = rest ? rest.split("/").map(decoded) : [];
  return AREAS[area](request, env, names, url.searchParams);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return noRoute();
  }
}
