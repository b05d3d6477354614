// Which group each point is of, and the colours of groups by day and by night. Pure.
import { inline } from "../format.js";

const MOST_GROUPS = 9;
const STEPS = 24;
const DAY = ["#2563a8", "#d9631e", "#2f8f4e", "#b3366b", "#7a5cc0", "#0d8a8f", "#9a6b12", "#c43d3d", "#5d6b1c"];
const NIGHT = ["#6db1ff", "#ff9a57", "#6fd08c", "#ff7fb0", "#b79dff", "#4fd0d3", "#e0b04a", "#ff8080", "#b7c95a"];
const REST = { day: "#8f8a83", night: "#7d7a76" };
const PLAIN = { day: "#c2410c", night: "#fb923c" };
const SCALE = {
  day: ["#e9b44c", "#e07b39", "#c43d5c", "#823a86", "#372c78"],
  night: ["#5a4fc0", "#a855a8", "#ea5f74", "#f7a14e", "#fde68a"],
};

/**
 * {kind, property, groups, labels, counts, range}: `groups` has a number for each point.
 *
 * Of numbers, groups are steps of a scale. Of all else, the most frequent values; the last group is the rest.
 */
export function colorsOf(given, size) {
  const values = given?.values;
  if (!given?.property || !values?.length) {
    return { kind: null, property: null, groups: new Uint8Array(size), labels: [], counts: [size] };
  }
  if (given.kind === "number") return ofNumbers(given.property, values);
  const counts = new Map();
  for (const value of values) {
    const label = labelOf(value);
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const none = counts.get(null) ?? 0;
  counts.delete(null);
  const frequent = [...counts].sort(([, a], [, b]) => b - a).slice(0, MOST_GROUPS);
  const numbers = new Map(frequent.map(([label], at) => [label, at]));
  const groups = Uint8Array.from(values, (value) => numbers.get(labelOf(value)) ?? frequent.length);
  const others = [...counts.values()].reduce((sum, one) => sum + one, 0) - frequent.reduce((sum, [, one]) => sum + one, 0);
  const labels = frequent.map(([label]) => label);
  const totals = frequent.map(([, one]) => one);
  if (others + none) {
    labels.push(others ? (none ? "others, or none" : "others") : "none");
    totals.push(others + none);
  }
  return { kind: "category", property: given.property, groups, labels, counts: totals, rest: others + none > 0 };
}

/** A colour for each group. */
export function paletteOf(colors, night) {
  const time = night ? "night" : "day";
  if (!colors?.kind) return [PLAIN[time]];
  if (colors.kind === "number") {
    return [...Array.from({ length: STEPS }, (_, step) => mixed(SCALE[time], step / (STEPS - 1))), REST[time]];
  }
  const palette = (night ? NIGHT : DAY).slice(0, colors.labels.length - (colors.rest ? 1 : 0));
  return colors.rest ? [...palette, REST[time]] : palette;
}

function ofNumbers(property, values) {
  const numbers = values.filter((value) => typeof value === "number").sort((a, b) => a - b);
  const [low, high] = [numbers[0] ?? 0, numbers.at(-1) ?? 0];
  const step = (value) => Math.min(Math.floor(((value - low) / (high - low || 1)) * STEPS), STEPS - 1);
  const groups = Uint8Array.from(values, (value) => (typeof value === "number" ? step(value) : STEPS));
  const none = values.length - numbers.length;
  return { kind: "number", property, groups, range: [low, high], labels: [], counts: [numbers.length, none], none };
}

const labelOf = (value) => (value === null || value === undefined ? null : inline(value));

function mixed(stops, place) {
  const at = Math.min(Math.floor(place * (stops.length - 1)), stops.length - 2);
  const part = place * (stops.length - 1) - at;
  const [from, to] = [stops[at], stops[at + 1]].map((stop) => [1, 3, 5].map((n) => Number.parseInt(stop.slice(n, n + 2), 16)));
  return `rgb(${from.map((value, n) => Math.round(value + (to[n] - value) * part)).join(" ")})`;
}
