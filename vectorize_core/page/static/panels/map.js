// The map: vectors in two dimensions, as near to each other as two dimensions can say.
import { get, ofIndex, post } from "../api.js";
import { useAnswer } from "../answer.js";
import { count, cut, dollars, exactly, plural, score, seconds } from "../format.js";
import { html, useEffect, useId, useMemo, useRef, useSignal, useState } from "../lib.js";
import { colorsOf, paletteOf } from "../map/colors.js";
import { pointsOf } from "../map/points.js";
import { Id } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Failure, Waiting } from "../pieces/notice.js";
import { walkRows } from "../pieces/walking.js";
import { go, here } from "../routing.js";
import { about, free, lit, say } from "../session.js";
import { night } from "../theme_switch.js";
import { Legend } from "./legend.js";
import { MapCanvas } from "./map_canvas.js";
import { changed } from "./record.js";

const SIZES = [1000, 2000, 5000, 10_000, 20_000];
const HITS = 20;

export function MapPanel({ name, given, index }) {
  const { default: usual, most } = about.value.map;
  const points = Math.min(Number(given.points) || usual, most);
  const [agreed, setAgreed] = useState(free.value);
  const { value, error, waiting, again } = useAnswer(
    agreed && ((signal) => post(ofIndex(name, "map"), { points, color: given.color, namespace: given.ns }, signal)),
    [name, points, given.color, given.ns, agreed, changed.value],
  );
  const drawn = useMemo(() => value && pointsOf(value), [value]);
  const colors = useMemo(() => value && colorsOf(value.colors, value.points), [value]);
  const [only, setOnly] = useState(null);
  const at = useSignal(null); // the point that is pointed at; what shows it is drawn alone
  useEffect(() => {
    setOnly(null);
    at.value = null;
  }, [colors]);
  const hits = lit.value?.index === name ? lit.value : null;
  const palette = paletteOf(colors, night.value);
  const resize = (to) => {
    setAgreed(free.value);
    go(here({ points: to, record: null }));
  };
  return html`
    <div class="map-panel">
      <${Bar} name=${name} given=${given} index=${index} value=${value} points=${points} most=${most} resize=${resize} />
      ${error && html`<${Failure} error=${error} again=${again} />`}
      ${!agreed && html`<${Price} name=${name} points=${points} agree=${() => setAgreed(true)} />`}
      ${agreed && waiting && !value && html`<${Waiting} what="Projecting" />`}
      ${value && value.points === 0 && html`<${Empty} title="Nothing to draw"><p>The index has no vectors that reads show yet.</p><//>`}
      ${drawn && value.points > 0 && html`
        <div class="map-frame ${waiting ? "dim" : ""}">
          <${MapCanvas} points=${drawn} colors=${colors} palette=${palette} only=${only} lit=${hits?.ids} opened=${given.record} at=${at}
            open=${(id) => go(here({ record: id }))} />
          <${Spoken} at=${at} points=${drawn} />
        </div>
        <${Legend} colors=${colors} palette=${palette} only=${only} setOnly=${setOnly} />
        <p class="quiet-text map-foot">
          ${value.of > value.points ? `${count(value.points)} of ${plural(value.of, "vector")}` : plural(value.points, "vector")}
          ${value.explained?.length ? ` · the two axes hold ${percent(value.explained)} of what differs` : ""} · ${seconds(value.seconds)}
        </p>
        <${Hits} hits=${hits} points=${drawn} at=${at} opened=${given.record} />
      `}
    </div>
  `;
}

function Bar({ name, given, index, value, points, most, resize }) {
  const id = useId();
  const [asked, setAsked] = useState("");
  const [busy, setBusy] = useState(false);
  const by = about.value.embedder ? "text" : "id";
  const ready = by === "text" ? asked.trim() : asked;
  const own = (index?.metadata_indexes ?? []).filter(({ ours }) => !ours).map(({ property }) => property);
  const names = [...new Set([...(value?.properties ?? own), ...(given.color ? [given.color] : [])])];
  const sizes = [...new Set([...SIZES.filter((size) => size <= most), points])].sort((a, b) => a - b);
  const find = async (event) => {
    event.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    try {
      const { matches } = await post(ofIndex(name, "search"), { by, [by]: asked, k: HITS, namespace: given.ns });
      lit.value = { index: name, ids: matches.map((match) => match.id), what: asked, matches };
      say(matches.length ? `${plural(matches.length, "match", "matches")}, lit on the map.` : "Nothing was found.");
    } catch (error) {
      say([error.message, error.hint].filter(Boolean).join(" "));
    } finally {
      setBusy(false);
    }
  };
  return html`
    <div class="bar">
      <form class="bar-form grow" role="search" onSubmit=${find}>
        <label class="visually-hidden" for="${id}-find">Find on the map by ${by === "text" ? "a text" : "the id of a record"}</label>
        <input id="${id}-find" value=${asked} dir="auto" autocomplete="off" placeholder=${by === "text" ? "Light what is near a text" : "Light what is near a record, by its id"} onInput=${(event) => setAsked(event.currentTarget.value)} />
        <button disabled=${busy || !ready}><${Icon} name="search" />Find</button>
      </form>
      <label>Colour <select value=${given.color ?? ""} onChange=${(event) => go(here({ color: event.currentTarget.value || null }), { silently: true })}>
        <option value="">none</option>
        ${names.map((one) => html`<option key=${one} value=${one}>${exactly(cut(one, 30))}</option>`)}
      </select></label>
      <label>Points <select value=${points} onChange=${(event) => resize(event.currentTarget.value)}>
        ${sizes.map((size) => html`<option key=${size} value=${size}>${count(size)}</option>`)}
      </select></label>
    </div>
  `;
}

/** The point that is pointed at, for those who listen. */
const Spoken = ({ at, points }) => html`
  <p class="visually-hidden" role="status">${at.value === null || at.value >= points.size ? "" : `${exactly(points.ids[at.value])}: ${points.texts[at.value] ?? ""}`}</p>
`;

/** What a map over an account costs, before it is drawn. */
function Price({ name, points, agree }) {
  const { value, error, again } = useAnswer((signal) => get(ofIndex(name, "map/price"), { points }, signal), [name, points]);
  if (error) return html`<${Failure} error=${error} again=${again} />`;
  return html`
    <div class="empty">
      <h3>A map of ${count(points)} vectors</h3>
      ${value ? html`
        <p>Reads ${plural(value.points, "vector")} in ${plural(value.requests, "request")}${value.dollars === null || value.dollars === undefined ? "" : `, for ${dollars(value.dollars)}`}.</p>
        ${value.text && html`<p class="quiet-text">${value.text}</p>`}
        <p><button class="primary" onClick=${agree}>Draw it</button></p>
      ` : html`<${Waiting} what="Counting" />`}
    </div>
  `;
}

/** What is lit, as a list: the same as the rings on the map, for those who do not see them. */
function Hits({ hits, points, at, opened }) {
  const list = useRef(null);
  if (!hits?.ids.length) return null;
  const shown = hits.ids.filter((id) => points.places.has(id));
  return html`
    <section class="hits" aria-label="Lit on the map">
      <h3>Lit: <bdi>${cut(hits.what, 80)}</bdi>
        <button class="quiet small" onClick=${() => {
          lit.value = null;
        }}><${Icon} name="close" />Put out</button>
      </h3>
      ${shown.length < hits.ids.length && html`<p class="quiet-text">${hits.ids.length - shown.length} of ${hits.ids.length} are not among the points that are drawn.</p>`}
      <ol class="neighbours" ref=${list} onKeyDown=${(event) => walkRows(event, list.current)}>
        ${hits.ids.map((id) => {
          const place = points.places.get(id);
          const match = hits.matches?.find((one) => one.id === id);
          const point = () => {
            at.value = place ?? null;
          };
          return html`
            <li key=${id} class=${id === opened ? "chosen" : ""}>
              <a class="row-link" href=${here({ record: id })} onFocus=${point} onMouseEnter=${point}>
                <span class="neighbour-head"><${Id} id=${id} />${match && html`<span class="mono score">${score(match.score)}</span>`}</span>
                ${place !== undefined && points.texts[place] && html`<span class="clamp-1 quiet-text" dir="auto">${points.texts[place]}</span>`}
              </a>
            </li>
          `;
        })}
      </ol>
    </section>
  `;
}

const percent = (explained) => `${Math.round(explained.reduce((sum, part) => sum + part, 0) * 100)} %`;
