// A modal dialog: the browser's own, which keeps the focus inside, and gives it back.
import { exactly } from "../format.js";
import { html, useId, useLayoutEffect, useRef, useState } from "../lib.js";
import { Exact } from "./content.js";
import { Icon } from "./icon.js";
import { Failure } from "./notice.js";

export function Dialog({ title, close, children }) {
  const box = useRef(null);
  const heading = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return html`
    <dialog ref=${box} aria-labelledby=${heading} onClose=${close}
      onClick=${(event) => event.target === box.current && box.current.close()}>
      <div class="dialog">
        <header>
          <h2 id=${heading}>${title}</h2>
          <button class="quiet" aria-label="Close" onClick=${() => box.current.close()}><${Icon} name="close" /></button>
        </header>
        ${children}
      </div>
    </dialog>
  `;
}

/** Asks for `word` to be typed, as it is or as it is shown, before it does what cannot be undone. */
export function ConfirmDialog({ title, word, action, act, close, children }) {
  const [typed, setTyped] = useState("");
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const field = useId();
  const right = typed === word || typed === exactly(word);
  const submit = async (event) => {
    event.preventDefault();
    if (!right || busy) return;
    setBusy(true);
    setFailed(null);
    try {
      await act();
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title=${title} close=${close}>
      <form onSubmit=${submit}>
        ${children}
        <div class="field">
          <label for=${field}>Type <bdi class="mono word"><${Exact} name=${word} /></bdi> to confirm</label>
          <input id=${field} class="mono" value=${typed} autocomplete="off" spellcheck=${false} dir="auto" autofocus
            onInput=${(event) => setTyped(event.currentTarget.value)} />
        </div>
        ${failed && html`<${Failure} error=${failed} />`}
        <footer>
          <button type="button" onClick=${close}>Cancel</button>
          <button class="danger" disabled=${!right || busy}>${action}</button>
        </footer>
      </form>
    <//>
  `;
}
