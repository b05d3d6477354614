// The points of a map: where they are, and which is near a place. Pure.

const CELLS = 128;
const FAR = 1.6; // beside the way of an arrow key counts as so much farther

/** The server's answer, with places between 0 and 1 and a grid to look them up in. */
export function pointsOf({ x, y, ids, texts }) {
  const [right, up] = [floats(x), floats(y)];
  const size = ids.length;
  const [left, width] = extent(right);
  const [bottom, height] = extent(up);
  const span = Math.max(width, height) || 1;
  const xs = new Float32Array(size);
  const ys = new Float32Array(size);
  for (let n = 0; n < size; n += 1) {
    xs[n] = (right[n] - left - width / 2) / span + 0.5;
    ys[n] = 0.5 - (up[n] - bottom - height / 2) / span;
  }
  return { size, xs, ys, ids, texts, places: new Map(ids.map((id, n) => [id, n])), grid: gridOf(xs, ys) };
}

/** The point that is nearest to a place and not farther than `reach`; null if there is none. */
export function nearest({ xs, ys, grid }, x, y, reach, shown = () => true) {
  let found = null;
  let best = reach * reach;
  const [left, right] = [cell(x - reach), cell(x + reach)];
  const [top, bottom] = [cell(y - reach), cell(y + reach)];
  for (let row = top; row <= bottom; row += 1) {
    for (let at = grid.begins[row * CELLS + left]; at < grid.begins[row * CELLS + right + 1]; at += 1) {
      const n = grid.order[at];
      const distance = (xs[n] - x) ** 2 + (ys[n] - y) ** 2;
      if (distance <= best && shown(n)) {
        best = distance;
        found = n;
      }
    }
  }
  return found;
}

/** The nearest point in the direction of (dx, dy), from point `from`. */
export function toward({ xs, ys, size }, from, dx, dy, shown = () => true) {
  let found = from;
  let best = Infinity;
  for (let n = 0; n < size; n += 1) {
    const ahead = (xs[n] - xs[from]) * dx + (ys[n] - ys[from]) * dy;
    const aside = Math.abs((xs[n] - xs[from]) * dy) + Math.abs((ys[n] - ys[from]) * dx);
    if (ahead <= 0 || aside > ahead * 2) continue;
    const distance = ahead + aside * FAR;
    if (distance < best && shown(n)) {
      best = distance;
      found = n;
    }
  }
  return found;
}

function floats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return values.length ? [low, high - low] : [0, 0];
}

function gridOf(xs, ys) {
  const begins = new Uint32Array(CELLS * CELLS + 1);
  const cells = new Uint16Array(xs.length);
  for (let n = 0; n < xs.length; n += 1) {
    cells[n] = cell(ys[n]) * CELLS + cell(xs[n]);
    begins[cells[n] + 1] += 1;
  }
  for (let at = 0; at < CELLS * CELLS; at += 1) begins[at + 1] += begins[at];
  const next = begins.slice();
  const order = new Uint32Array(xs.length);
  for (let n = 0; n < xs.length; n += 1) {
    order[next[cells[n]]] = n;
    next[cells[n]] += 1;
  }
  return { begins, order };
}

const cell = (place) => Math.min(Math.max(Math.floor(place * CELLS), 0), CELLS - 1);
