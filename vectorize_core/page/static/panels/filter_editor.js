// A filter as it is typed: its errors at their place, and what it will cost.
import { ofIndex, post } from "../api.js";
import { DictError, parse, position } from "../dictform.js";
import { plural } from "../format.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Exact } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Explanation } from "./explanation.js";

const PAUSE = 300;
const UNINDEXED = "UnindexedPropertyError";
const EXAMPLES = { number: "{ \"$gte\": 0 }", string: '"…"', boolean: "true" };

export function FilterEditor({ id, name, index, text, setText, scan, setScan, k, namespace, submit }) {
  const [answer, setAnswer] = useState({ of: "", explanation: null, error: null });
  const [open, setOpen] = useState(false);
  const back = useRef(null);
  const form = formOf(text);
  const asked = JSON.stringify([text, scan]);
  useEffect(() => {
    if (form.value === undefined) return undefined;
    const given = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const explanation = await post(ofIndex(name, "explain"), { filter: form.value, namespace: namespace || undefined, k, scan }, given.signal);
        setAnswer({ of: asked, explanation, error: null });
      } catch (error) {
        if (error.name !== "AbortError") setAnswer({ of: asked, explanation: null, error });
      }
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      given.abort();
    };
  }, [name, text, k, namespace, scan]);
  const error = form.error ?? (answer.of === asked && text.trim() ? answer.error : null);
  const place = error && placeOf(text, form, error);
  const where = place && position(text, place[0]);
  const explanation = answer.of === asked ? answer.explanation : null;
  const properties = (index?.metadata_indexes ?? []).filter(({ ours }) => !ours);
  const rows = Math.min(Math.max(text.split("\n").length, 2), 12);
  return html`
    <div class="field filter">
      <label for=${id}>Filter</label>
      <div class="filter-box ${error ? "wrong" : ""}">
        <pre class="filter-back" aria-hidden="true" ref=${back}>${marked(text, place)}${"\n"}</pre>
        <textarea id=${id} class="mono" rows=${rows} value=${text} spellcheck=${false} autocapitalize="off" autocomplete="off"
          placeholder=${'{"year": {"$gte": 1960}}'} aria-invalid=${error ? "true" : "false"} aria-describedby="${id}-says"
          onInput=${(event) => setText(event.currentTarget.value)}
          onScroll=${(event) => {
            back.current.scrollTop = event.currentTarget.scrollTop;
            back.current.scrollLeft = event.currentTarget.scrollLeft;
          }}
          onKeyDown=${(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
          }} />
      </div>
      <div id="${id}-says" aria-live="polite">
        ${error && html`
          <div class="filter-error">
            <p><button type="button" class="link" onClick=${() => select(id, place)}>Line ${where.line}, column ${where.column}</button> ${error.message}</p>
            ${error.hint && html`<p>${error.hint}</p>`}
          </div>
        `}
      </div>
      ${!text.trim() && properties.length > 0 && html`
        <p class="chips">
          ${properties.map(({ property, type }) => html`
            <button type="button" class="property" key=${property} onClick=${() => {
              setText(`{${JSON.stringify(property)}: ${EXAMPLES[type] ?? EXAMPLES.string}}`);
              document.getElementById(id).focus();
            }}><bdi class="property-name"><${Exact} name=${property} /></bdi><span class="property-value">${type}</span></button>
          `)}
        </p>
      `}
      ${(scan || answer.error?.type === UNINDEXED) && text.trim() && html`
        <label class="check"><input type="checkbox" checked=${scan} onChange=${(event) => setScan(event.currentTarget.checked)} />Read every record for what no metadata index answers</label>
      `}
      ${explanation && text.trim() && html`
        <div class="filter-cost">
          <button type="button" class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name=${open ? "minus" : "plus"} />What it will do</button>
          <span class="quiet-text">${plural(explanation.requests, "request")}</span>
          ${open && html`<${Explanation} explanation=${explanation} />`}
        </div>
      `}
    </div>
  `;
}

/** {value, place} of a text, or {error}; of an empty one neither. */
function formOf(text) {
  if (!text.trim()) return {};
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof DictError) return { error };
    throw error;
  }
}

function placeOf(text, form, error) {
  if (error instanceof DictError) return [Math.min(error.start, text.length), Math.min(error.end, text.length)];
  return error.at && form.place ? form.place(error.at) : [0, text.length];
}

function marked(text, place) {
  if (!place) return text;
  const [start, end] = place;
  return [text.slice(0, start), html`<mark key="mark">${text.slice(start, end) || " "}</mark>`, text.slice(end)];
}

function select(id, place) {
  const field = document.getElementById(id);
  field.focus();
  field.setSelectionRange(...place);
}
