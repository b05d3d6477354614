// A new index.
import { post } from "../api.js";
import { html, useId, useState } from "../lib.js";
import { Dialog } from "../pieces/dialog.js";
import { Icon } from "../pieces/icon.js";
import { Failure } from "../pieces/notice.js";
import { go, toIndex } from "../routing.js";
import { listIndexes, say } from "../session.js";

const METRICS = { cosine: "cosine, for most models", euclidean: "euclidean", "dot-product": "dot product" };
const TYPES = ["string", "number", "boolean"];
const MOST_PROPERTIES = 7; // of ten, the layout takes three

export function CreateDialog({ close }) {
  const [form, setForm] = useState({ name: "", dimensions: "384", metric: "cosine" });
  const [properties, setProperties] = useState([]);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const change = (at, changes) => setProperties(properties.map((one, n) => (n === at ? { ...one, ...changes } : one)));
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFailed(null);
    const named = properties.filter(({ property }) => property);
    try {
      await post("indexes", {
        name: form.name,
        dimensions: Number(form.dimensions),
        metric: form.metric,
        metadata_indexes: Object.fromEntries(named.map(({ property, type }) => [property, type])),
      });
      await listIndexes();
      say(`Index ${form.name} is made.`);
      go(toIndex(form.name, "about"));
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title="New index" close=${close}>
      <form onSubmit=${submit}>
        <div class="field">
          <label for="${id}-name">Name</label>
          <input id="${id}-name" class="mono" value=${form.name} onInput=${set("name")} required autofocus autocomplete="off" spellcheck=${false} placeholder="docs" />
        </div>
        <div class="columns">
          <div class="field">
            <label for="${id}-dimensions">Dimensions</label>
            <input id="${id}-dimensions" type="number" min="1" step="1" required value=${form.dimensions} onInput=${set("dimensions")} />
          </div>
          <div class="field">
            <label for="${id}-metric">Metric</label>
            <select id="${id}-metric" value=${form.metric} onChange=${set("metric")}>
              ${Object.entries(METRICS).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
            </select>
          </div>
        </div>
        <fieldset>
          <legend>Properties to filter on</legend>
          <p class="quiet-text">They cannot find what was written before them, so name them now.</p>
          ${properties.map(({ property, type }, at) => html`
            <div class="line" key=${at}>
              <input class="mono grow" aria-label="Property" value=${property} autocomplete="off" placeholder="year" onInput=${(event) => change(at, { property: event.currentTarget.value })} />
              <select aria-label="Type of its values" value=${type} onChange=${(event) => change(at, { type: event.currentTarget.value })}>
                ${TYPES.map((one) => html`<option key=${one}>${one}</option>`)}
              </select>
              <button type="button" class="quiet" aria-label="Leave it out" onClick=${() => setProperties(properties.filter((_, n) => n !== at))}><${Icon} name="close" /></button>
            </div>
          `)}
          ${properties.length < MOST_PROPERTIES && html`
            <button type="button" class="small" onClick=${() => setProperties([...properties, { property: "", type: "string" }])}><${Icon} name="plus" />Property</button>
          `}
        </fieldset>
        ${failed && html`<${Failure} error=${failed} />`}
        <footer>
          <button type="button" onClick=${close}>Cancel</button>
          <button class="primary" disabled=${busy}>${busy ? "Making…" : "Make it"}</button>
        </footer>
      </form>
    <//>
  `;
}
