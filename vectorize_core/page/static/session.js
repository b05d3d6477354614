// What several panels look at: the server, its indexes, and what the last search found.
import { get, ofIndex } from "./api.js";
import { computed, signal } from "./lib.js";

export const about = signal(null);
export const indexes = signal(null);
export const failure = signal(null);

/** What is known of each index, by name. */
export const details = signal(new Map());

/** {index, ids, what}: what the last search found, which the map shows. */
export const lit = signal(null);

/** A sentence for the status line, and for those who listen. */
export const said = signal("");

export const free = computed(() => about.value?.free ?? false);

/** Asks what there is; `failure` says why not. */
export async function open() {
  failure.value = null;
  try {
    const [found] = await Promise.all([get("about"), listIndexes()]);
    about.value = found;
  } catch (error) {
    failure.value = error;
  }
}

export async function listIndexes() {
  const found = await get("indexes");
  const names = new Set(found.map((index) => index.name));
  details.value = new Map([...details.value].filter(([name]) => names.has(name)));
  indexes.value = found;
}

export async function refresh(name, signal) {
  const found = await get(ofIndex(name), {}, signal);
  details.value = new Map(details.value).set(name, found);
  return found;
}

let lastSaid;
export function say(sentence) {
  clearTimeout(lastSaid);
  said.value = sentence;
  lastSaid = setTimeout(() => {
    said.value = "";
  }, 6000);
}
