// The server has a token: it is asked for before anything is shown.
import { hasToken, useToken } from "../api.js";
import { html, useId, useState } from "../lib.js";
import { Note } from "../pieces/notice.js";
import { open } from "../session.js";

export function TokenPanel() {
  const [token, setToken] = useState("");
  const field = useId();
  const submit = (event) => {
    event.preventDefault();
    if (!token) return;
    useToken(token);
    open();
  };
  return html`
    <main class="alone">
      <form class="card token" onSubmit=${submit}>
        <img src="page/icon.svg" alt="" width="40" height="40" />
        <h1>This server has a token</h1>
        <p class="quiet-text">It is what <code>serve --token</code> or <code>VECTORIZE_SERVER_TOKEN</code> was given. It stays in this tab, and is sent to this server only.</p>
        ${hasToken() && html`<div role="alert"><${Note} kind="warn"><p>That was not it. Look for spaces at its ends, and for quotation marks around it.</p><//></div>`}
        <div class="field">
          <label for=${field}>Token</label>
          <input id=${field} type="password" autocomplete="off" autofocus value=${token} onInput=${(event) => setToken(event.currentTarget.value)} />
        </div>
        <button class="primary" disabled=${!token}>Open</button>
      </form>
    </main>
  `;
}
