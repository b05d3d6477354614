// All indexes, and a new one.
import { count, date } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Code, Exact, Id } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Failure } from "../pieces/notice.js";
import { toIndex } from "../routing.js";
import { details, indexes, listIndexes, refresh } from "../session.js";
import { CreateDialog } from "./create.js";

const AT_ONCE = 4;
const COUNTED = 100;

export function IndexesPanel() {
  const [creating, setCreating] = useState(false);
  const [failed, setFailed] = useState(null);
  const ask = () => listIndexes().then(countAll).then(() => setFailed(null), setFailed);
  useEffect(() => {
    ask();
  }, []);
  return html`
    <header class="head">
      <h1>Indexes</h1>
      <div class="head-actions">
        <button class="primary" onClick=${() => setCreating(true)}><${Icon} name="plus" />New index</button>
      </div>
    </header>
    <div class="body">
      ${failed && html`<${Failure} error=${failed} again=${ask} />`}
      ${indexes.value.length ? html`<${IndexTable} />` : html`
        <${Empty} title="No index yet">
          <p>Make one here, or let a store make it with its first texts:</p>
          <${Code} text=${'store = VectorizeVectorStore(embeddings, index_name="docs", path="./vectors")\nstore.add_texts(["We choose to go to the moon"])'} />
          <p><button class="primary" onClick=${() => setCreating(true)}><${Icon} name="plus" />New index</button></p>
        <//>
      `}
      ${creating && html`<${CreateDialog} close=${() => setCreating(false)} />`}
    </div>
  `;
}

const IndexTable = () => html`
  <div class="table-box">
    <table class="rows stacked facts-rows">
      <thead><tr><th>Name</th><th class="number">Vectors</th><th class="number">Dimensions</th><th>Metric</th><th>Metadata indexes</th><th>Made</th></tr></thead>
      <tbody>
        ${indexes.value.map(({ name, dimensions, metric, description, created }) => {
          const known = details.value.get(name);
          const properties = (known?.metadata_indexes ?? []).filter(({ ours }) => !ours);
          return html`
            <tr key=${name}>
              <td class="main-cell">
                <a class="row-link" href=${toIndex(name, "records")}><${Id} id=${name} /></a>
                ${description && html`<div class="quiet-text clamp-1" dir="auto">${description}</div>`}
              </td>
              <td class="number" data-label="Vectors">${count(known?.vectors)}${known?.pending ? html` <span class="tag warn">pending</span>` : null}</td>
              <td class="number" data-label="Dimensions">${count(dimensions)}</td>
              <td data-label="Metric">${metric}</td>
              <td class="long-cell" data-label="Metadata indexes">${properties.length ? html`<span class="chips">${properties.map(({ property, type }) => html`<span class="property" key=${property}><bdi class="property-name"><${Exact} name=${property} /></bdi><span class="property-value">${type}</span></span>`)}</span>` : null}</td>
              <td class="quiet-text nowrap" data-label="Made">${date(created)}</td>
            </tr>
          `;
        })}
      </tbody>
    </table>
  </div>
`;

/** Counts of the first indexes, a few at once; what fails is left to the index's own view. */
async function countAll() {
  const names = indexes.value.slice(0, COUNTED).map(({ name }) => name);
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      await refresh(name).catch(() => null);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
