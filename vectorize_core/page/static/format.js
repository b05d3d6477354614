// Values as people read them. Pure.

const NUMBER = new Intl.NumberFormat("en");

export const count = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** Seconds, as fine as they are worth. */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.0995) return `${(value * 1000).toFixed(value < 0.00995 ? 1 : 0)} ms`;
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

export function dollars(value) {
  if (value === 0) return "$0";
  return value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`;
}

/** A score with four digits after the point, or as many as a large one has room for. */
export const score = (value) => (Math.abs(value) >= 1000 ? value.toPrecision(6) : value.toFixed(4));

/** The time of day of an event: ISO text, or seconds since 1970. */
export function clock(at) {
  const when = moment(at);
  return when ? when.toLocaleTimeString("en-GB") : String(at ?? "");
}

/** Day and time. */
export function date(at) {
  const when = moment(at);
  return when ? `${when.toLocaleDateString("en-CA")} ${when.toLocaleTimeString("en-GB").slice(0, 5)}` : String(at ?? "–");
}

/** A value of metadata in one line; texts without quotation marks. */
export const inline = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export const pretty = (value) => JSON.stringify(value, null, 2);

/** The first `most` characters, never half of one. */
export function cut(text, most) {
  if (text.length <= most) return text;
  return `${[...text.slice(0, most)].slice(0, -1).join("")}…`;
}

function moment(at) {
  if (at === null || at === undefined) return null;
  const when = new Date(typeof at === "number" ? at * 1000 : at);
  return Number.isNaN(when.getTime()) ? null : when;
}
