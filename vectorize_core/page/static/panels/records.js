// The records of an index, a page at a time.
import { get, ofIndex } from "../api.js";
import { useAnswer } from "../answer.js";
import { count } from "../format.js";
import { html, useEffect, useId, useRef, useState } from "../lib.js";
import { Code, Exact, Id, Properties } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Failure, Waiting } from "../pieces/notice.js";
import { walkRows } from "../pieces/walking.js";
import { go, here, toIndex } from "../routing.js";
import { changed } from "./record.js";

const SIZES = [25, 50, 100];
const SIZE = 50;
const ROUNDS = 30;

export function RecordsPanel({ name, given, index }) {
  const size = SIZES.includes(Number(given.size)) ? Number(given.size) : SIZE;
  const query = { cursor: given.cursor, limit: size, namespace: given.ns };
  const asked = { ns: given.ns, size, page: Math.max(Math.floor(Number(given.page)) || 1, 1) };
  const { value, error, waiting, again } = useAnswer(
    async (signal) => ({ ...(await pageOf(name, query, signal)), ...asked }),
    [name, given.cursor, given.ns, size, changed.value],
  );
  // What is still to be seen may be the page before, while the next one is on its way.
  const { page } = value ?? asked;
  const first = (page - 1) * (value ?? asked).size + 1;
  const records = value?.records ?? [];
  // Pages have no numbers for the server: where each begins is known from the one before.
  const begins = useRef(new Map());
  const key = (of, number) => JSON.stringify([of.ns, of.size, number]);
  const known = (number) => (number === 1 ? null : begins.current.get(key(asked, number)));
  if (value?.next) begins.current.set(key(value, page + 1), value.next);
  const turn = (to) => {
    const cursor = known(to);
    go(here({ cursor: cursor ?? null, page: cursor ? to : null, record: null }));
    scrollTo(0, 0);
  };
  return html`
    <${Bar} given=${given} size=${size} />
    ${error && html`
      <${Failure} error=${error} again=${again}>
        ${given.cursor && html`<p><a href=${here({ cursor: null, page: null })}>Begin with the first page</a></p>`}
      <//>
    `}
    ${!value && waiting && html`<${Waiting} />`}
    ${value && !records.length && !value.next && page === 1 && html`<${Nothing} name=${name} given=${given} index=${index} />`}
    ${value && !records.length && (value.next || page > 1) && html`<${Empty} title=${value.next ? "None so far" : "No more"} />`}
    ${records.length > 0 && html`<${RecordTable} records=${records} dim=${waiting} opened=${given.record} />`}
    ${(records.length > 0 || value?.next || page > 1) && value && html`
      <nav class="pager" aria-label="Pages">
        <button disabled=${page === 1} onClick=${() => turn(page - 1)}>
          <${Icon} name="previous" />${page === 1 || known(page - 1) !== undefined ? "Previous" : "First page"}
        </button>
        <span class="quiet-text">${given.ns || !records.length ? `Page ${count(page)}` : `${count(first)}–${count(first + records.length - 1)}`}</span>
        <button disabled=${!value.next} onClick=${() => turn(page + 1)}>Next<${Icon} name="next" /></button>
      </nav>
    `}
  `;
}

/** A page of records. In one namespace it may be empty, with more to follow: then that one. */
async function pageOf(name, query, signal) {
  for (let round = 1; ; round += 1) {
    const found = await get(ofIndex(name, "records"), query, signal);
    if (found.records.length || !found.next || round === ROUNDS) return found;
    query = { ...query, cursor: found.next };
  }
}

function Bar({ given, size }) {
  const [namespace, setNamespace] = useState(given.ns ?? "");
  const [id, setId] = useState("");
  const field = useId();
  useEffect(() => setNamespace(given.ns ?? ""), [given.ns]);
  const afresh = (changes) => go(here({ cursor: null, page: null, ...changes }));
  return html`
    <div class="bar">
      <form class="bar-form" onSubmit=${(event) => {
        event.preventDefault();
        if (id) go(here({ record: id }));
      }}>
        <label class="visually-hidden" for="${field}-id">Open a record by its id</label>
        <input id="${field}-id" class="mono" value=${id} placeholder="Open by id" autocomplete="off" spellcheck=${false} dir="auto" onInput=${(event) => setId(event.currentTarget.value)} />
        <button disabled=${!id}>Open</button>
      </form>
      <form class="bar-form" onSubmit=${(event) => {
        event.preventDefault();
        afresh({ ns: namespace || null });
      }}>
        <label class="visually-hidden" for="${field}-ns">Namespace</label>
        <input id="${field}-ns" value=${namespace} placeholder="All namespaces" autocomplete="off" spellcheck=${false} dir="auto" onInput=${(event) => setNamespace(event.currentTarget.value)} />
        <button>Show</button>
      </form>
      <label class="bar-size">Rows <select value=${size} onChange=${(event) => afresh({ size: event.currentTarget.value })}>
        ${SIZES.map((one) => html`<option key=${one}>${one}</option>`)}
      </select></label>
    </div>
  `;
}

function RecordTable({ records, dim, opened }) {
  const table = useRef(null);
  const namespaces = records.some(({ namespace }) => namespace);
  return html`
    <div class="table-box ${dim ? "dim" : ""}" ref=${table} onKeyDown=${(event) => walkRows(event, table.current)}>
      <table class="rows stacked records">
        <thead><tr><th class="col-id">Id</th>${namespaces && html`<th>Namespace</th>`}<th>Text</th><th>Metadata</th></tr></thead>
        <tbody>
          ${records.map((record) => html`
            <tr key=${record.id} class=${record.id === opened ? "chosen" : ""} onClick=${(event) => openRow(event, record.id)}>
              <td class="col-id"><a class="row-link" href=${here({ record: record.id })}><${Id} id=${record.id} /></a></td>
              ${namespaces && html`<td data-label="Namespace">${record.namespace ? html`<bdi><${Exact} name=${record.namespace} /></bdi>` : null}</td>`}
              <td class="col-text">${record.text
                ? html`<div class="clamp-2" dir="auto">${record.text}${record.text_cut ? "…" : ""}</div>`
                : html`<span class="faint">no text</span>`}</td>
              <td class="col-metadata"><${Properties} metadata=${record.metadata} /></td>
            </tr>
          `)}
        </tbody>
      </table>
    </div>
  `;
}

/** A click anywhere on a row opens it, unless it is on a link, or ends a selection of text. */
function openRow(event, id) {
  if (event.target.closest("a, button") || String(getSelection())) return;
  go(here({ record: id }));
}

function Nothing({ name, given, index }) {
  if (given.ns) {
    return html`
      <${Empty} title="Nothing in this namespace">
        <p>No record is in <bdi class="mono"><${Exact} name=${given.ns} /></bdi>. Names are exact, with capitals and spaces.</p>
        <p><a href=${here({ ns: null, cursor: null, page: null })}>Show all namespaces</a></p>
      <//>
    `;
  }
  if (index?.pending) {
    return html`<${Empty} title="Nothing to see yet"><p>Writes are pending. They become visible within seconds.</p><//>`;
  }
  return html`
    <${Empty} title="This index is empty">
      <p>Write to it with a store, and look again:</p>
      <${Code} text=${`store = VectorizeVectorStore(embeddings, index_name=${JSON.stringify(name)}, path="./vectors")\nstore.add_texts(["We choose to go to the moon"])`} />
      <p><a href=${toIndex(name, "about")}>About this index</a></p>
    <//>
  `;
}
