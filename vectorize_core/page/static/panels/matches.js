// What a search found, with scores, what it took, and hints if it found nothing.
import { plural, score, seconds } from "../format.js";
import { html, useRef, useState } from "../lib.js";
import { Exact, Id, Properties } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Note } from "../pieces/notice.js";
import { walkRows } from "../pieces/walking.js";
import { go, here, toIndex } from "../routing.js";
import { Explanation } from "./explanation.js";

export function Matches({ name, answer, request, metric, dim, opened }) {
  const [explained, setExplained] = useState(false);
  const list = useRef(null);
  const { matches, explanation, hints = [] } = answer;
  const bars = shares(matches.map((match) => match.score), metric);
  return html`
    <div class="found-head">
      <p role="status"><b>${plural(matches.length, "match", "matches")}</b> <span class="quiet-text">· ${plural(answer.requests, "request")} · ${seconds(answer.seconds)}${answer.embedding_seconds ? ` · ${seconds(answer.embedding_seconds)} to embed the text` : ""}</span></p>
      <span class="found-actions">
        ${explanation && html`<button class="small" aria-expanded=${explained} onClick=${() => setExplained(!explained)}><${Icon} name="info" />Explanation</button>`}
        ${matches.length > 0 && html`<a class="button small" href=${toIndex(name, "map")}><${Icon} name="map" />On the map</a>`}
      </span>
    </div>
    ${explained && html`<div class="card"><${Explanation} explanation=${explanation} /></div>`}
    ${!matches.length && html`
      <${Empty} title="Nothing was found">
        ${hints.length ? hints.map((hint) => html`<p key=${hint}>${hint}</p>`) : html`<p>${request.filter || request.namespace ? "No record matches the filter and the namespace." : "The index has no record that could be near."}</p>`}
      <//>
    `}
    ${matches.length > 0 && hints.map((hint) => html`<${Note} key=${hint}><p>${hint}</p><//>`)}
    <ol class="matches ${dim ? "dim" : ""}" ref=${list} onKeyDown=${(event) => walkRows(event, list.current)}>
      ${matches.map((match, at) => html`
        <li key=${match.id} class=${match.id === opened ? "chosen" : ""} onClick=${(event) => {
          if (event.target.closest("a, button") || String(getSelection())) return;
          go(here({ record: match.id }));
        }}>
          <div class="match-head">
            <span class="rank">${at + 1}</span>
            <a class="row-link" href=${here({ record: match.id })}><${Id} id=${match.id} /></a>
            ${match.namespace && html`<span class="tag"><bdi><${Exact} name=${match.namespace} /></bdi></span>`}
            <meter class="match-meter" min="0" max="1" value=${bars[at]} aria-hidden="true"></meter>
            <span class="mono score">${score(match.score)}</span>
          </div>
          ${match.text ? html`<p class="clamp-3 match-text" dir="auto">${match.text}</p>` : html`<p class="faint">No text.</p>`}
          <${Properties} metadata=${match.metadata} most=${6} />
        </li>
      `)}
    </ol>
  `;
}

/** How long the bar beside each score is, from 0 to 1: the nearer, the longer. The best score is the first. */
function shares(scores, metric) {
  const last = scores.at(-1);
  if (metric === "euclidean") return scores.map((score) => 1 - score / (2 * last || 1));
  const nearness = scores.map((score) => (scores[0] < last ? -score : score)); // dot products are negated
  const [most] = nearness;
  return nearness.map((one) => (one === most ? 1 : one > 0 ? one / most : most < 0 ? most / one : 0));
}
