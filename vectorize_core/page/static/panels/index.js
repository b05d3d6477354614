// One index: what it is, what filters can use, and its end.
import { ofIndex, remove } from "../api.js";
import { count, date, plural } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Exact } from "../pieces/content.js";
import { ConfirmDialog } from "../pieces/dialog.js";
import { Icon } from "../pieces/icon.js";
import { Note, Waiting } from "../pieces/notice.js";
import { go, toPanel } from "../routing.js";
import { listIndexes, refresh, say } from "../session.js";

const LOOK_AGAIN = 2000;

export function IndexPanel({ name, index }) {
  const [deleting, setDeleting] = useState(false);
  useEffect(() => {
    // What is pending is worth another look, until nothing is.
    if (!index?.pending) return undefined;
    const timer = setTimeout(() => refresh(name).catch(() => null), LOOK_AGAIN);
    return () => clearTimeout(timer);
  }, [index]);
  if (!index) return html`<${Waiting} />`;
  const act = async () => {
    await remove(ofIndex(name), { confirm: name });
    go(toPanel(""));
    await listIndexes();
    say(`Index ${name} is deleted.`);
  };
  return html`
    <div class="cards">
      <section class="card">
        <h2>Index</h2>
        <dl class="pairs">
          <dt>Vectors</dt><dd><b>${count(index.vectors)}</b></dd>
          <dt>Dimensions</dt><dd>${count(index.dimensions)}</dd>
          <dt>Metric</dt><dd>${index.metric}</dd>
          ${index.description && html`<dt>Description</dt><dd dir="auto">${index.description}</dd>`}
          <dt>Made</dt><dd>${date(index.created)}</dd>
          <dt>Last write seen</dt><dd>${index.processed_up_to ? date(index.processed_up_to) : "none"}</dd>
          <dt>Pending</dt><dd>${pendingText(index.pending)}</dd>
          ${index.last_mutation && html`<dt>Last mutation</dt><dd class="mono clip" title=${index.last_mutation}>${index.last_mutation}</dd>`}
        </dl>
      </section>
      <section class="card">
        <h2>Metadata indexes</h2>
        ${index.metadata_indexes.length ? html`
          <table class="rows plain-rows">
            <thead><tr><th>Property</th><th>Type</th><th>For</th></tr></thead>
            <tbody>
              ${index.metadata_indexes.map(({ property, type, ours }) => html`
                <tr key=${property}><td><bdi class="mono"><${Exact} name=${property} /></bdi></td><td>${type}</td><td class="quiet-text">${ours ? "the record layout" : "your filters"}</td></tr>
              `)}
            </tbody>
          </table>
        ` : html`<p class="quiet-text">None, so the service itself can filter by namespace only.</p>`}
      </section>
      <section class="card">
        <h2>Layout</h2>
        <p class="note">${index.layout.note}</p>
      </section>
      <section class="card danger-zone">
        <h2>Delete</h2>
        <p class="quiet-text">Deletes the index with its ${plural(index.vectors ?? 0, "vector")}. Nothing brings them back.</p>
        <p><button class="danger-quiet" onClick=${() => setDeleting(true)}><${Icon} name="trash" />Delete this index…</button></p>
      </section>
    </div>
    ${deleting && html`
      <${ConfirmDialog} title="Delete this index?" word=${name} action="Delete index" act=${act} close=${() => setDeleting(false)}>
        <${Note} kind="warn"><p>${plural(index.vectors ?? 0, "vector")}, their texts and metadata will be gone.</p><//>
      <//>
    `}
  `;
}

function pendingText(pending) {
  if (pending === null || pending === undefined) return "not known";
  if (pending === true) return "writes that reads do not show yet";
  return pending ? plural(pending, "write that reads do not show yet", "writes that reads do not show yet") : "nothing";
}
