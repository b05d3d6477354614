// Search: by a text, by a record's id, by a vector; with a filter, and what that means.
import { ofIndex, post } from "../api.js";
import { useAnswer } from "../answer.js";
import { parse } from "../dictform.js";
import { json } from "../jsontext.js";
import { html, useEffect, useId, useRef, useState } from "../lib.js";
import { Failure, Waiting } from "../pieces/notice.js";
import { go, here } from "../routing.js";
import { about, lit } from "../session.js";
import { FilterEditor } from "./filter_editor.js";
import { Matches } from "./matches.js";
import { changed } from "./record.js";

const MOST = 1000;
const WAYS = { text: "Text", id: "Record", vector: "Vector" };
const K = 10;

/** A pasted vector is too long for an address: it is kept as long as the page is open. */
let pasted = "";

export function SearchPanel({ name, given, index }) {
  const request = requestOf(given);
  const { value, error, waiting, again } = useAnswer(
    request && ((signal) => post(ofIndex(name, "search"), request, signal)),
    [name, json(request), changed.value],
  );
  useEffect(() => {
    if (value) lit.value = { index: name, ids: value.matches.map(({ id }) => id), what: given.q ?? "a vector" };
  }, [value]);
  return html`
    <div class="search">
      <${SearchForm} name=${name} given=${given} index=${index} again=${again} />
      <section class="found" aria-label="What was found" aria-busy=${waiting}>
        ${error && !error.at && html`<${Failure} error=${error} again=${again} />`}
        ${error?.at && html`<p class="quiet-text">The filter has an error; it is marked at its place.</p>`}
        ${waiting && request && !value && html`<${Waiting} what="Searching" />`}
        ${!request && html`<p class="quiet-text prompt">${about.value.embedder
          ? "Ask with a sentence, take a record to find what is near it, or paste a vector."
          : html`Take a record to find what is near it, or paste a vector. For search by text, start with <code>--embedder module:attribute</code>.`}</p>`}
        ${value && html`<${Matches} name=${name} answer=${value} request=${request} metric=${index?.metric} dim=${waiting} opened=${given.record} />`}
      </section>
    </div>
  `;
}

function SearchForm({ name, given, index, again }) {
  const first = about.value.embedder ? "text" : "id";
  const [by, setBy] = useState(Object.hasOwn(WAYS, given.by) ? given.by : first);
  const [asked, setAsked] = useState(given.q ?? "");
  const [vector, setVector] = useState(pasted);
  const [k, setK] = useState(given.k ?? String(K));
  const [namespace, setNamespace] = useState(given.ns ?? "");
  const [filter, setFilter] = useState(given.filter ?? "");
  const [scan, setScan] = useState(Boolean(given.scan));
  const [wrong, setWrong] = useState("");
  const id = useId();
  const before = useRef(given);
  useEffect(() => {
    // A link, or the way back, asks for another search.
    if (before.current === given) return;
    before.current = given;
    if (Object.hasOwn(WAYS, given.by)) setBy(given.by);
    setAsked(given.q ?? "");
    setK(given.k ?? String(K));
    setNamespace(given.ns ?? "");
    setFilter(given.filter ?? "");
    setScan(Boolean(given.scan));
    setWrong("");
  }, [given.by, given.q, given.k, given.ns, given.filter, given.scan]);
  const submit = (event) => {
    event?.preventDefault();
    setWrong("");
    if (by === "vector") {
      const found = vectorOf(vector, index?.dimensions);
      if (typeof found === "string") return setWrong(found);
      pasted = vector;
    } else if (by === "text" ? !asked.trim() : !asked) {
      return setWrong(by === "text" ? "A text to search for is needed." : "The id of a record is needed.");
    }
    try {
      if (filter.trim()) parse(filter);
    } catch {
      return document.getElementById(`${id}-filter`).focus();
    }
    const to = here({ by, q: by === "vector" ? null : asked, k, ns: namespace || null, filter: filter.trim() || null, scan: scan ? "yes" : null, record: null });
    if (to === location.hash) again();
    else go(to);
    return undefined;
  };
  const enter = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (by === "text" && !event.shiftKey))) submit(event);
  };
  return html`
    <form class="card search-form" onSubmit=${submit} aria-label="Search">
      <div class="segments" role="radiogroup" aria-label="Search by">
        ${Object.entries(WAYS).map(([way, label]) => html`
          <label key=${way}>
            <input type="radio" name="${id}-by" value=${way} checked=${by === way} disabled=${way === "text" && !about.value.embedder} onChange=${() => setBy(way)} />
            <span>${label}</span>
          </label>
        `)}
      </div>
      <div class="field">
        ${by === "text" && html`
          <label for="${id}-asked">Text</label>
          <textarea id="${id}-asked" rows="3" dir="auto" value=${asked} placeholder="Who went to the moon?" onInput=${(event) => setAsked(event.currentTarget.value)} onKeyDown=${enter} />
        `}
        ${by === "id" && html`
          <label for="${id}-asked">Id of a record</label>
          <input id="${id}-asked" class="mono" value=${asked} autocomplete="off" spellcheck=${false} dir="auto" onInput=${(event) => setAsked(event.currentTarget.value)} />
        `}
        ${by === "vector" && html`
          <label for="${id}-asked">${index ? `${index.dimensions} numbers` : "Numbers"}</label>
          <textarea id="${id}-asked" class="mono" rows="4" value=${vector} placeholder="[0.12, -0.4, …]" spellcheck=${false} onInput=${(event) => setVector(event.currentTarget.value)} onKeyDown=${enter} />
        `}
        ${wrong && html`<p class="field-wrong" role="alert">${wrong}</p>`}
      </div>
      <div class="columns">
        <div class="field narrow">
          <label for="${id}-k">Results (k)</label>
          <input id="${id}-k" type="number" min="1" max=${MOST} required value=${k} onInput=${(event) => setK(event.currentTarget.value)} />
        </div>
        <div class="field">
          <label for="${id}-ns">Namespace</label>
          <input id="${id}-ns" value=${namespace} placeholder="all" autocomplete="off" spellcheck=${false} dir="auto" onInput=${(event) => setNamespace(event.currentTarget.value)} />
        </div>
      </div>
      <${FilterEditor} id="${id}-filter" name=${name} index=${index} text=${filter} setText=${setFilter} scan=${scan} setScan=${setScan} k=${Number(k) || K} namespace=${namespace} submit=${submit} />
      <button class="primary wide">Search</button>
    </form>
  `;
}

/** The search that an address asks for; null if it asks for none, or its filter cannot be read. */
function requestOf({ by, q, k, ns, filter, scan }) {
  if (!Object.hasOwn(WAYS, by ?? "") || (by !== "vector" && !q)) return null;
  const request = { by, k: Math.min(Math.max(Math.round(Number(k)) || K, 1), MOST) };
  if (by === "vector") {
    const vector = vectorOf(pasted);
    if (typeof vector === "string") return null;
    request.vector = vector;
  } else {
    request[by] = q;
  }
  if (ns) request.namespace = ns;
  try {
    if (filter) request.filter = parse(filter).value;
    if (filter && scan) request.scan = true;
  } catch {
    return null;
  }
  return request;
}

/** Numbers of a pasted text, or what is wrong with it. */
function vectorOf(text, dimensions) {
  const parts = text.replace(/^[\s[(]+|[\s\])]+$/g, "").split(/[\s,;]+/).filter(Boolean);
  if (!parts.length) return "Numbers are needed, with commas or spaces between them.";
  const values = parts.map(Number);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) return `Value ${bad + 1}, ${parts[bad].slice(0, 20)}, is not a number.`;
  if (dimensions && values.length !== dimensions) return `The index has ${dimensions} dimensions, and these are ${values.length} numbers.`;
  return values;
}
