// Values as people read them. Pure.

const NUMBER = new Intl.NumberFormat("en");
const HIDDEN = /((?:(?! )[\p{C}\p{Z}\p{DI}\u2800]|^ | $|(?<= ) )+)/u;
const SHORT = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

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

/** A score with four digits after the point; of large and of small ones, the first few digits. */
export function score(value) {
  if (typeof value !== "number") return "–";
  const size = Math.abs(value);
  if (size >= 1000) return value.toPrecision(6);
  return size >= 0.1 || size === 0 ? value.toFixed(4) : value.toPrecision(3);
}

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

/** A part of an address as text; as it stands, if it is not encoded right. */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * A name in parts: [text, escaped, text, …]. What cannot be seen in it is escaped as in Python, so that no two names
 * look the same: all that is not printable or takes no room, and spaces at its ends or after another.
 */
export const exact = (name) => name.split(HIDDEN).map((part, at) => (at % 2 ? escaped(part) : part));

/** The same as one text. */
export const exactly = (name) => exact(name).join("");

function escaped(characters) {
  return Array.from(characters, (character) => {
    const code = character.codePointAt(0);
    if (SHORT.has(character)) return SHORT.get(character);
    const [mark, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${mark}${code.toString(16).padStart(digits, "0")}`;
  }).join("");
}

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
