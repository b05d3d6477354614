// Filters as people type them: JSON, or a dict of Python's. Pure. The service itself parses what they mean;
// this finds out where each part of one stands, so that an error can be shown at its place. What it cannot read
// as it was meant is an error, never a guess.

const WORDS = { true: true, false: false, null: null, True: true, False: false, None: null };
// What is after a backslash; or which digits, of what base. They are those of both languages.
const ESCAPES = new Map(Object.entries({ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", a: "\x07", v: "\v", "\\": "\\", "'": "'", '"': '"', "\n": "" }));
const CODES = [
  { form: /u([0-9a-fA-F]{4})/y, base: 16 },
  { form: /x([0-9a-fA-F]{2})/y, base: 16 },
  { form: /U([0-9a-fA-F]{8})/y, base: 16 },
  { form: /([0-7]{1,3})/y, base: 8 },
];
const LAST = 0x10ffff; // code points end here
const DIGITS = "\\d+(?:_\\d+)*";
const NUMBER = new RegExp(`[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?`, "y");
const WHOLE = /^[+-]?\d+$/;
const [LEAST, LARGEST] = [-(2n ** 63n), 2n ** 64n - 1n];
const MOST_DIGITS = 1000; // of millions, reading them alone would take long
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
    let more = true;
    at += 1;
    for (;;) {
      space();
      if (text[at] === close) break;
      made.push(any(`${part}[${made.length}]`));
      more = comma(close, opened);
      if (!more) break;
    }
    at += 1;
    // Brackets around one value are no tuple.
    return close === ")" && made.length === 1 && !more ? made[0] : made;
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
      made += escape(quote);
    }
    at += 1;
    if (!made.isWellFormed()) wrong("there is half of a character in this text", start, at);
    return made;
  }

  /** What an escape stands for; afterwards `at` is its last character. */
  function escape(quote) {
    const start = at - 1;
    // JSON alone has this one.
    if (text[at] === "/" && quote === '"') return "/";
    const known = ESCAPES.get(text[at]);
    if (known !== undefined) return known;
    for (const { form, base } of CODES) {
      const code = Number.parseInt(match(form).replace(/^[uxU]/, "") || "-1", base);
      if (code > LAST) wrong(`there is no character ${text.slice(start, at)}`, start, at);
      if (code < 0) continue;
      at -= 1;
      return String.fromCodePoint(code);
    }
    return wrong(`${text.slice(start, at + 1)} is no escape here; a backslash itself is written \\\\`, start, at + 1);
  }

  function plain() {
    const start = at;
    const number = match(NUMBER);
    if (number) return numeral(number.replaceAll("_", ""), start);
    const word = match(WORD);
    if (word && Object.hasOwn(WORDS, word)) return WORDS[word];
    if (start >= text.length) return wrong("a value is missing", Math.max(0, text.trimEnd().length - 1), text.length);
    return wrong(word ? `${word} is no value; texts need quotation marks` : `${text[start]} is not expected here`, start, at + (word ? 0 : 1));
  }

  function numeral(digits, start) {
    const found = Number(digits);
    if (!WHOLE.test(digits)) return Number.isFinite(found) ? found : wrong("no number is so large", start, at);
    if (Number.isSafeInteger(found)) return found;
    // A browser's numbers would round it; and the server's JSON has 64 bits.
    const whole = digits.length > MOST_DIGITS ? LARGEST + 1n : BigInt(digits.replace("+", ""));
    if (whole < LEAST || whole > LARGEST) wrong("whole numbers of more than 64 bits cannot be sent from here", start, at);
    return whole;
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
