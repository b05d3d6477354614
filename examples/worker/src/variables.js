// The variables of the Worker that say what it answers for.

import { refuse } from "./answers.js";

/** A variable that is an object; an empty one if it is not set. */
export function variable(env, name) {
  const given = env[name] ?? {};
  if (typeof given === "object" && !Array.isArray(given)) return given;
  return refuse(`the variable ${name} is no JSON object, but ${Array.isArray(given) ? "a list" : `a ${typeof given}`}`);
}

/** What a variable says of a key. */
export function entry(env, name, key) {
  const given = variable(env, name);
  return Object.hasOwn(given, key) ? given[key] : null;
}
