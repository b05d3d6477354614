// A vector as a strip: a bar for each value, or for each few of a long one.
import { html, useLayoutEffect, useRef } from "../lib.js";
import { night } from "../theme_switch.js";

const HEIGHT = 44;

export function Values({ values }) {
  const canvas = useRef(null);
  const dark = night.value;
  useLayoutEffect(() => draw(canvas.current, values), [values, dark]);
  const ends = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  return html`
    <canvas class="values" ref=${canvas} role="img" aria-label="Values from ${ends[0].toPrecision(3)} to ${ends[1].toPrecision(3)}"></canvas>
    <p class="mono faint values-head">${values.slice(0, 4).map((value) => Number(value.toPrecision(4))).join(", ")}${values.length > 4 ? ", …" : ""}</p>
  `;
}

function draw(canvas, values) {
  const width = canvas.clientWidth || 320;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const bars = Math.min(values.length, Math.floor(width / 2));
  const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1;
  const step = width / bars;
  context.fillStyle = getComputedStyle(canvas).color;
  for (let bar = 0; bar < bars; bar += 1) {
    const of = values.slice(Math.floor((bar * values.length) / bars), Math.max(Math.floor(((bar + 1) * values.length) / bars), Math.floor((bar * values.length) / bars) + 1));
    const value = of.reduce((far, one) => (Math.abs(one) > Math.abs(far) ? one : far), 0);
    const height = (value / most) * (HEIGHT / 2 - 1);
    context.fillRect(bar * step, HEIGHT / 2 - Math.max(height, 0), Math.max(step - 0.7, 0.8), Math.max(Math.abs(height), 0.5));
  }
}
