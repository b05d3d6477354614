// What a filter asks of the service, what is evaluated on the answers, and what that costs.
import { dollars, inline, plural } from "../format.js";
import { html } from "../lib.js";

export function Explanation({ explanation }) {
  const { branches = [], residual, requests, most_requests: most, price, warnings = [], text } = explanation;
  return html`
    <dl class="pairs explanation">
      <dt>Asked of the service</dt>
      <dd>${branches.length
        ? branches.map((branch, at) => html`<code key=${at} class="branch">${Object.keys(branch).length ? inline(branch) : "everything"}</code>`)
        : "nothing: no record can match"}</dd>
      <dt>Evaluated on its answers</dt>
      <dd>${residual ? html`<code class="branch">${inline(residual)}</code>` : "nothing"}</dd>
      <dt>Requests</dt>
      <dd>${plural(requests, "request")}${most > requests ? `, at most ${most.toLocaleString("en")} if everything has to be read` : ""}</dd>
      ${price && html`<dt>Price</dt><dd>${dollars(price.expected)}${price.most > price.expected ? `, at most ${dollars(price.most)}` : ""}</dd>`}
      ${warnings.length > 0 && html`<dt>Note</dt><dd>${warnings.map((warning) => html`<p key=${warning}>${warning}</p>`)}</dd>`}
    </dl>
    ${text && html`<details><summary>In words</summary><pre class="json">${text}</pre></details>`}
  `;
}
