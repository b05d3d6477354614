// Where the page is: the hash, so that a view can be linked. #/docs/search?q=moon is index "docs".
import { decoded } from "./format.js";
import { computed, signal } from "./lib.js";

export const TABS = ["about", "records", "search", "map"];

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

/** {panel, index, given}: `given` are the parameters of the view, all texts. */
export const route = computed(() => parsed(hash.value));

/** The address of a view of an index. */
export const toIndex = (name, tab = "about", given = {}) =>
  address(`/index/${encodeURIComponent(name)}/${tab}`, given);

/** The address of a view of everything. */
export const toPanel = (panel) => `#/${panel}`;

/** The address of this view with other parameters; null leaves one out. */
export function here(changes) {
  const { index, panel, given } = route.value;
  const path = index === null ? `/${panel}` : `/index/${encodeURIComponent(index)}/${panel}`;
  return address(path, { ...given, ...changes });
}

/** Goes to an address; with `silently`, without a step to go back to. */
export function go(to, { silently = false } = {}) {
  if (silently) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  hash.value = location.hash;
}
addEventListener("popstate", () => {
  hash.value = location.hash;
});

function address(path, given) {
  const kept = Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${path}${kept.length ? `?${new URLSearchParams(kept)}` : ""}`;
}

function parsed(text) {
  const [path, query = ""] = text.replace(/^#/, "").split(/\?(.*)/s);
  const given = Object.fromEntries(new URLSearchParams(query));
  const steps = path.split("/").filter(Boolean);
  if (steps[0] === "index" && steps.length >= 2) {
    return { panel: TABS.includes(steps[2]) ? steps[2] : "about", index: decoded(steps[1]), given };
  }
  return { panel: steps[0] === "activity" ? "activity" : "indexes", index: null, given };
}
