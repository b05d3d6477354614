// What stands where an answer should: an error that says what to do, nothing yet, or a wait.
import { html } from "../lib.js";
import { Icon } from "./icon.js";

export const Failure = ({ error, again, children }) => html`
  <div class="notice notice-bad" role="alert">
    <${Icon} name="warning" />
    <div class="notice-text">
      <p class="notice-title">${error.message}</p>
      ${error.hint && html`<p>${error.hint}</p>`}
      ${children}
      ${error.type && html`<p class="faint">${error.type}${error.status ? ` · status ${error.status}` : ""}</p>`}
      ${again && html`<p><button class="small" onClick=${again}><${Icon} name="again" />Try again</button></p>`}
    </div>
  </div>
`;

export const Note = ({ kind = "plain", children }) => html`
  <div class="notice notice-${kind}">
    <${Icon} name=${kind === "warn" ? "warning" : "info"} />
    <div class="notice-text">${children}</div>
  </div>
`;

export const Empty = ({ title, children }) => html`
  <div class="empty"><h3>${title}</h3>${children}</div>
`;

/** Shown after a moment only, so that fast answers do not flicker. */
export const Waiting = ({ what = "Reading" }) => html`
  <p class="waiting" role="status"><span class="spinner"></span>${what}…</p>
`;
