// Filters as people type them: JSON, or a dict of Python's. Pure. The service itself parses what they mean;
// this finds out where each part of one stands, so that an error can be shown at its place.

const WORDS = { true: true, false: false, null: null, True: true, False: false, None: null };
const ESCAPES = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };
const NUMBER = /[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z_]\w*/y;
const SPACE = /\s*/y;

/** A text that is not a value, and where. */
export class DictError extends Error {
  constructor(message, start, end) {
    super(message);
    Object.assign(this, { start, end });
  }
}

/**
 * {value, place} of a text. `place` is [start, end] of a part, named as the service's parser names it, such as
 * $.$or[1].year.$gte; or of the nearest one that there is.
 */
export function parse(text) {
  let at = 0;
  const places = new Map();
  const value = any("$");
  space();
  if (at < text.length) wrong("nothing may follow the filter", at, text.length);
  return { value, place };

  function place(part) {
    const keys = [...places.keys()];
    // Some errors name a property, wherever it stands.
    const found = keys.find((key) => key === part) ?? keys.find((key) => key.endsWith(part.slice(1)) && part !== "$");
    const around = keys.filter((key) => part.startsWith(key)).sort((a, b) => b.length - a.length)[0];
    return places.get(found ?? around) ?? [0, text.length];
  }

  function any(part) {
    space();
    const start = at;
    const character = text[at];
    let found;
    if (character === "{") found = members(part);
    else if (character === "[" || character === "(") found = items(part, character === "[" ? "]" : ")");
    else if (character === '"' || character === "'") found = string();
    else found = plain();
    // A member's place is its key, which is what errors are about.
    if (!places.has(part)) places.set(part, [start, at]);
    return found;
  }

  function members(part) {
    const made = {};
    const opened = at;
    at += 1;
    for (;;) {
      space();
      if (text[at] === "}") break;
      const start = at;
      if (text[at] !== '"' && text[at] !== "'") {
        wrong(at < text.length ? "a name in quotation marks is expected" : "} is missing", at < text.length ? at : opened);
      }
      const name = string();
      places.set(`${part}.${name}`, [start, at]);
      space();
      if (text[at] !== ":") wrong(`: and a value are expected after ${JSON.stringify(name)}`, start, at);
      at += 1;
      // No name of a member is one of an object's own, such as __proto__.
      Object.defineProperty(made, name, { value: any(`${part}.${name}`), enumerable: true, configurable: true, writable: true });
      if (!comma("}", opened)) break;
    }
    at += 1;
    return made;
  }

  function items(part, close) {
    const made = [];
    const opened = at;
    at += 1;
    for (;;) {
      space();
      if (text[at] === close) break;
      made.push(any(`${part}[${made.length}]`));
      if (!comma(close, opened)) break;
    }
    at += 1;
    return made;
  }

  function comma(close, opened) {
    space();
    if (text[at] === ",") {
      at += 1;
      return true;
    }
    if (text[at] === close) return false;
    if (at >= text.length) wrong(`${close} is missing`, opened);
    return wrong(`, or ${close} is expected`, at);
  }

  function string() {
    const start = at;
    const quote = text[at];
    let made = "";
    for (at += 1; text[at] !== quote; at += 1) {
      if (at >= text.length) wrong(`the closing ${quote} is missing`, start, text.length);
      if (text[at] !== "\\") {
        made += text[at];
        continue;
      }
      at += 1;
      if (text[at] === "u") {
        const code = text.slice(at + 1, at + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(code)) wrong("four hexadecimal digits are expected after \\u", at - 1, at + 5);
        made += String.fromCharCode(Number.parseInt(code, 16));
        at += 4;
      } else {
        made += ESCAPES[text[at]] ?? text[at] ?? "";
      }
    }
    at += 1;
    return made;
  }

  function plain() {
    const start = at;
    const number = match(NUMBER);
    if (number) return Number(number.replaceAll("_", ""));
    const word = match(WORD);
    if (word && Object.hasOwn(WORDS, word)) return WORDS[word];
    if (start >= text.length) return wrong("a value is missing", Math.max(0, text.trimEnd().length - 1), text.length);
    return wrong(word ? `${word} is no value; texts need quotation marks` : `${text[start]} is not expected here`, start, at + (word ? 0 : 1));
  }

  function match(pattern) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  }

  function space() {
    match(SPACE);
  }

  function wrong(message, start, end = start + 1) {
    throw new DictError(message, start, Math.max(end, start + 1));
  }
}

/** The line and column of an offset, both from 1. */
export function position(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}
