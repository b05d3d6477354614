// The map under mouse, finger and keys.
import { cut } from "../format.js";
import { html, useLayoutEffect, useRef, useSignalEffect } from "../lib.js";
import { Plot } from "../map/plot.js";
import { nearest, toward } from "../map/points.js";
import { Exact } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { night } from "../theme_switch.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CLICK = 4; // a pointer that moved farther has dragged
const STEP = 1.5;
const TIP = 320;

export function MapCanvas({ points, colors, palette, only, lit, opened, at, open }) {
  const frame = useRef(null);
  const below = useRef(null);
  const above = useRef(null);
  const plot = useRef(null);
  const pointers = useRef(new Map());
  const moved = useRef(0);
  const shown = (n) => only === null || colors.groups[n] === only;

  useLayoutEffect(() => {
    plot.current = new Plot(below.current, above.current);
    const fit = () => plot.current.resize(frame.current.clientWidth, frame.current.clientHeight, devicePixelRatio || 1);
    const watch = new ResizeObserver(fit);
    watch.observe(frame.current);
    fit();
    // Not as a prop: the page must not scroll meanwhile, and such a listener has to say so.
    const wheel = (event) => {
      event.preventDefault();
      const [px, py] = inFrame(event);
      plot.current.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), px, py);
    };
    frame.current.addEventListener("wheel", wheel, { passive: false });
    return () => {
      watch.disconnect();
      plot.current.close();
    };
  }, []);

  const places = lit ? lit.map((id) => points.places.get(id)).filter((n) => n !== undefined) : [];
  const litKey = places.join();
  useLayoutEffect(() => {
    const style = getComputedStyle(frame.current);
    plot.current.show(points, {
      groups: colors.groups,
      palette,
      only,
      lit: places,
      opened: points.places.get(opened) ?? null,
      ring: style.color,
      field: style.backgroundColor,
    });
  }, [points, colors, only, litKey, opened, night.value]);
  useSignalEffect(() => {
    const { value } = at;
    if (plot.current.points) plot.current.show(plot.current.points, { at: value });
  });

  const inFrame = (event) => {
    const box = frame.current.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const under = (event) => nearest(points, ...plot.current.toPlace(...inFrame(event)), plot.current.reach, shown);

  const down = (event) => {
    if (event.button) return;
    frame.current.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.current.size === 1) moved.current = 0;
  };
  const move = (event) => {
    const before = pointers.current.get(event.pointerId);
    if (!before) {
      at.value = under(event);
      return;
    }
    const now = [event.clientX, event.clientY];
    const all = pointers.current;
    if (all.size === 2) {
      const apart = () => Math.hypot(...difference(...all.values()));
      const from = apart();
      all.set(event.pointerId, now);
      plot.current.zoomBy(apart() / (from || 1), ...inFrame(event));
    } else {
      const [dx, dy] = difference(now, before);
      moved.current += Math.hypot(dx, dy);
      all.set(event.pointerId, now);
      if (moved.current > CLICK) plot.current.moveBy(dx, dy);
    }
  };
  const up = (event) => {
    const was = pointers.current.delete(event.pointerId);
    if (!was || event.type !== "pointerup" || moved.current > CLICK) return;
    const found = under(event);
    at.value = found;
    if (found !== null && event.pointerType === "mouse") open(points.ids[found]);
  };
  const leave = () => {
    if (!pointers.current.size) at.value = null;
  };
  const walk = (to) => {
    at.value = to;
    plot.current.reveal(to);
  };
  const key = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = ARROWS[event.key];
    const { value } = at;
    const center = () => nearest(points, plot.current.x, plot.current.y, 2, shown) ?? 0;
    if (arrow) walk(value === null ? center() : toward(points, value, ...arrow, shown));
    else if (event.key === "Enter" && value !== null) open(points.ids[value]);
    else if (event.key === "n" && places.length) walk(places[(places.indexOf(value) + 1) % places.length]);
    else if (event.key === "+") plot.current.zoomBy(STEP, ...(value === null ? [] : plot.current.toPixels(value)));
    else if (event.key === "-") plot.current.zoomBy(1 / STEP);
    else if (event.key === "0") plot.current.fit();
    else if (event.key === "Escape" && value !== null) at.value = null;
    else return;
    event.preventDefault();
  };
  return html`
    <div class="map" ref=${frame} role="application" tabindex="0" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}
      onPointerLeave=${leave} onKeyDown=${key}
      aria-label="Map of ${points.size} records. Arrow keys go from point to point, Enter opens one, N goes through what is lit, plus and minus zoom.">
      <canvas ref=${below}></canvas>
      <canvas ref=${above}></canvas>
      <${Tip} at=${at} plot=${plot} points=${points} />
    </div>
    <div class="map-buttons">
      <button aria-label="Nearer" title="Nearer (+)" onClick=${() => plot.current.zoomBy(STEP)}><${Icon} name="plus" /></button>
      <button aria-label="Farther" title="Farther (−)" onClick=${() => plot.current.zoomBy(1 / STEP)}><${Icon} name="minus" /></button>
      <button aria-label="All" title="All (0)" onClick=${() => plot.current.fit()}><${Icon} name="fit" /></button>
    </div>
  `;
}

/** What is pointed at: beside its point, and inside the map. */
function Tip({ at: { value: at }, plot: { current: plot }, points }) {
  if (at === null || at >= points.size || !plot) return null;
  const [x, y] = plot.toPixels(at);
  const wide = Math.min(TIP, plot.width - 16);
  const left = Math.min(Math.max(x - wide / 2, 8), Math.max(plot.width - wide - 8, 8));
  const above = y > 150;
  const style = { left: `${left}px`, top: `${above ? y - 14 : y + 14}px`, width: `${wide}px` };
  const text = points.texts[at];
  return html`
    <div class="tip ${above ? "tip-above" : ""}" style=${style} aria-hidden="true">
      <bdi class="mono"><${Exact} name=${cut(points.ids[at], 60)} /></bdi>
      ${text ? html`<p class="clamp-4" dir="auto">${text}</p>` : html`<p class="faint">No text.</p>`}
    </div>
  `;
}

const difference = ([x, y], [fromX, fromY]) => [x - fromX, y - fromY];
