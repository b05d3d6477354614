// What the colours of the map stand for. A group can be shown alone.
import { count, cut } from "../format.js";
import { html, useLayoutEffect, useRef } from "../lib.js";

export function Legend({ colors, palette, only, setOnly }) {
  if (!colors?.kind) return null;
  if (colors.kind === "number") return html`<${Scale} colors=${colors} palette=${palette} />`;
  return html`
    <div class="legend" role="group" aria-label="Colours by ${colors.property}">
      <bdi class="legend-name">${cut(colors.property, 40)}</bdi>
      ${colors.labels.map((label, group) => html`
        <button key=${label} class="legend-item" aria-pressed=${only === group} title=${label} onClick=${() => setOnly(only === group ? null : group)}>
          <span class="swatch" style=${{ backgroundColor: palette[group] }}></span><bdi>${cut(label, 28) || "empty"}</bdi><span class="faint">${count(colors.counts[group])}</span>
        </button>
      `)}
    </div>
  `;
}

function Scale({ colors, palette }) {
  const canvas = useRef(null);
  useLayoutEffect(() => {
    const steps = palette.slice(0, -1);
    canvas.current.width = steps.length;
    canvas.current.height = 1;
    const context = canvas.current.getContext("2d");
    steps.forEach((color, step) => {
      context.fillStyle = color;
      context.fillRect(step, 0, 1, 1);
    });
  });
  return html`
    <div class="legend">
      <bdi class="legend-name">${cut(colors.property, 40)}</bdi>
      <span class="mono">${colors.range[0]}</span><canvas class="scale" ref=${canvas} role="img" aria-label="Colours from the least to the greatest"></canvas><span class="mono">${colors.range[1]}</span>
      ${colors.none > 0 && html`<span class="legend-item"><span class="swatch" style=${{ backgroundColor: palette.at(-1) }}></span>no number <span class="faint">${count(colors.none)}</span></span>`}
    </div>
  `;
}
