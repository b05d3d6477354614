// One record whole, beside what it was opened from; its neighbours, and its end.
import { get, ofIndex, post, remove } from "../api.js";
import { useAnswer } from "../answer.js";
import { count, pretty, score } from "../format.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../lib.js";
import { Copy, Exact, Id, Text } from "../pieces/content.js";
import { ConfirmDialog } from "../pieces/dialog.js";
import { Icon } from "../pieces/icon.js";
import { Failure, Note, Waiting } from "../pieces/notice.js";
import { Values } from "../pieces/values.js";
import { go, here, toIndex } from "../routing.js";
import { free, refresh, say } from "../session.js";

const NEIGHBOURS = 6;

/** How often a record was changed here: what shows records asks again. */
export const changed = signal(0);

export function RecordPanel({ name, id }) {
  const box = useRef(null);
  const [deleting, setDeleting] = useState(false);
  const { value: record, error, waiting, again } = useAnswer(
    (signal) => get(ofIndex(name, "record"), { id }, signal),
    [name, id],
  );
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current.focus({ preventScroll: true });
    return () => before?.isConnected && before.focus({ preventScroll: true });
  }, []);
  const close = () => go(here({ record: null }));
  const act = async () => {
    const { visible } = await remove(ofIndex(name, "record"), { id, confirm: id });
    changed.value += 1;
    close();
    say(visible ? "The record is deleted." : "The record is deleted. Lists may still show it for a while.");
    refresh(name).catch(() => null);
  };
  return html`
    <aside class="record" ref=${box} tabindex="-1" aria-label="Record" onKeyDown=${(event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !deleting) close();
    }}>
      <header>
        <h2><${Id} id=${id} /></h2>
        <${Copy} text=${id} what="id" />
        <button class="quiet" aria-label="Close the record" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div class="record-body">
        ${error && html`<${Failure} error=${error} again=${again} />`}
        ${!record && waiting && html`<${Waiting} />`}
        ${record && html`
          <${Whole} record=${record} />
          <${Neighbours} name=${name} id=${id} />
          <footer class="record-foot">
            <button class="danger-quiet small" onClick=${() => setDeleting(true)}><${Icon} name="trash" />Delete this record…</button>
          </footer>
        `}
      </div>
      ${deleting && html`
        <${ConfirmDialog} title="Delete this record?" word=${id} action="Delete record" act=${act} close=${() => setDeleting(false)}>
          <${Note} kind="warn"><p>${endOf(record)}</p><//>
        <//>
      `}
    </aside>
  `;
}

/** What a deletion takes, and what it leaves because the page is not told where that is. */
function endOf({ text_elsewhere: text, row_elsewhere: row }) {
  const kept = text && html`Its text stays where it is kept, unless this page is opened with <code>--d1 ID</code>. `;
  const copy = row && "The index's text index stays as it is, with a copy of the text. ";
  if (!kept && !copy) return "Its vector, its text and its metadata will be gone.";
  return html`Its vector and its metadata will be gone. ${kept}${copy}`;
}

function Whole({ record }) {
  const properties = Object.entries(record.metadata ?? {});
  const types = new Map(Object.entries(record.types ?? {}));
  return html`
    <section>
      ${record.text_elsewhere
        ? html`<p class="faint">Its text is kept elsewhere, where this page does not look. <code>vectorize-stores open --d1 ID</code> shows those of a D1 database.</p>`
        : html`<${Text} text=${record.text} />`}
      <p class="record-tags">
        ${record.namespace && html`<span class="tag">namespace <bdi><${Exact} name=${record.namespace} /></bdi></span>`}
        ${record.source && html`<span class="tag">document <bdi><${Exact} name=${record.source} /></bdi></span>`}
        ${record.text_name && !record.text_elsewhere && html`<span class="tag">text kept beside the vector</span>`}
      </p>
    </section>
    <section>
      <h3>Metadata</h3>
      ${properties.length ? html`
        <dl class="pairs metadata">
          ${properties.map(([name, value]) => html`
            <dt key="name ${name}"><bdi><${Exact} name=${name} /></bdi></dt>
            <dd key="value ${name}"><${Value} value=${value} />${types.has(name) && html` <span class="faint">${types.get(name)}</span>`}</dd>
          `)}
        </dl>
      ` : html`<p class="faint">None.</p>`}
    </section>
    ${record.values && html`
      <section>
        <h3>Vector <span class="faint">${count(record.values.length)} values</span><${Copy} text=${JSON.stringify(record.values)} what="vector" /></h3>
        <${Values} values=${record.values} />
      </section>
    `}
    <section>
      <${Folded} title="As it is stored" value=${record.raw_metadata} />
      <${Folded} title="LlamaIndex's node" value=${record.node} />
    </section>
  `;
}

/** JSON for those who want to know; made when it is unfolded. */
function Folded({ title, value }) {
  const [open, setOpen] = useState(false);
  if (value === null || value === undefined) return null;
  return html`
    <details onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>${title}</summary>
      ${open && html`<pre class="json" tabindex="0" dir="auto">${pretty(value)}</pre>`}
    </details>
  `;
}

function Value({ value }) {
  if (value !== null && typeof value === "object") return html`<pre class="json" dir="auto">${pretty(value)}</pre>`;
  if (typeof value === "string") return html`<span class="value-text" dir="auto">${value === "" ? html`<span class="faint">empty</span>` : value}</span>`;
  return html`<span class="mono">${String(value)}</span>`;
}

/** The nearest others; asked for at once only where that costs nothing. */
function Neighbours({ name, id }) {
  const [asked, setAsked] = useState(free.value);
  useEffect(() => setAsked(free.value), [id]);
  const { value, error, waiting, again } = useAnswer(
    asked && ((signal) => post(ofIndex(name, "search"), { by: "id", id, k: NEIGHBOURS }, signal)),
    [name, id, asked],
  );
  const others = value?.matches ?? [];
  return html`
    <section>
      <h3>More like this <a class="h-link" href=${toIndex(name, "search", { by: "id", q: id })}>Search from here</a></h3>
      ${!asked && html`<button class="small" onClick=${() => setAsked(true)}><${Icon} name="near" />Find its neighbours</button>`}
      ${error && html`<${Failure} error=${error} again=${again} />`}
      ${asked && waiting && !value && html`<${Waiting} what="Searching" />`}
      ${value && !others.length && html`<p class="faint">No other record.</p>`}
      ${others.length > 0 && html`
        <ol class="neighbours">
          ${others.map((match) => html`
            <li key=${match.id}><a href=${here({ record: match.id })}>
              <span class="neighbour-head"><${Id} id=${match.id} /><span class="mono score">${score(match.score)}</span></span>
              ${match.text && html`<span class="clamp-2 quiet-text" dir="auto">${match.text}</span>`}
            </a></li>
          `)}
        </ol>
      `}
    </section>
  `;
}
