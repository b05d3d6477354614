// What users stored. It is hostile until shown otherwise: always text, in a direction of its own, and
// never wider than its place.
import { cut, exact, inline } from "../format.js";
import { html, useState } from "../lib.js";
import { say } from "../session.js";
import { Icon } from "./icon.js";

const SHOWN = 1500;

/** A name of theirs, in which nothing is left unseen. */
export const Exact = ({ name }) => exact(name).map((part, at) => (at % 2 ? html`<span class="escape" key=${at}>${part}</span>` : part));

export const Id = ({ id }) => html`<bdi class="mono id"><${Exact} name=${id} /></bdi>`;

/** The text of a record. Long ones are folded. */
export function Text({ text }) {
  const [open, setOpen] = useState(false);
  if (text === null || text === undefined) return html`<p class="faint">No text.</p>`;
  if (text === "") return html`<p class="faint">An empty text.</p>`;
  const long = text.length > SHOWN;
  return html`
    <p class="text" dir="auto">${long && !open ? `${text.slice(0, SHOWN)}…` : text}</p>
    ${long && html`
      <button class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        ${open ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
      </button>
    `}
  `;
}

/** The first few properties in a line or two. */
export function Properties({ metadata, most = 4 }) {
  const all = Object.entries(metadata ?? {});
  if (!all.length) return html`<span class="faint">–</span>`;
  return html`
    <span class="properties">
      ${all.slice(0, most).map(([name, value]) => html`
        <span class="pair" key=${name}><bdi class="pair-name"><${Exact} name=${cut(name, 24)} /></bdi> <bdi>${cut(inline(value), 60)}</bdi></span>${" "}
      `)}
      ${all.length > most && html`<span class="faint nowrap">and ${all.length - most} more</span>`}
    </span>
  `;
}

export function Copy({ text, what }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied.`);
    } catch {
      say("The browser does not allow copying here.");
    }
  };
  return html`<button class="quiet small" aria-label="Copy ${what}" title="Copy" onClick=${copy}><${Icon} name="copy" /></button>`;
}

/** A line of code that can be copied. */
export const Code = ({ text }) => html`<div class="code"><pre tabindex="0">${text}</pre><${Copy} text=${text} what="code" /></div>`;
