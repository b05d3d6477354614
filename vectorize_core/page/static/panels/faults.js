// Faults and delays of a local server, on and off.
import { get, put } from "../api.js";
import { html, useEffect, useId, useState } from "../lib.js";
import { Icon } from "../pieces/icon.js";
import { Failure, Waiting } from "../pieces/notice.js";
import { say } from "../session.js";

const DELAYS = {
  process_delay: "until a write is processed",
  propagate_delay: "from then until reads show it",
  metadata_index_delay: "until a metadata index is live",
};
const KINDS = {
  busy: { label: "Too many requests (429)", rule: { status: 429, headers: { "Retry-After": "1" } } },
  down: { label: "Unavailable (503)", rule: { status: 503 } },
  slow: { label: "Slow: two seconds", rule: { delay: 2 } },
  lost: { label: "Carried out, answer lost", rule: { act: true, reset: true } },
  reset: { label: "Connection closed", rule: { reset: true } },
};
const WHICH = { "": "every request", "/query": "searches", "/upsert": "upserts", "/insert": "inserts", "/get_by_ids": "reads by id", "/delete_by_ids": "deletes" };

export function FaultsPanel() {
  const [now, setNow] = useState(null);
  const [failed, setFailed] = useState(null);
  const ask = () => get("faults").then((found) => {
    setNow(found);
    setFailed(null);
  }, setFailed);
  useEffect(() => {
    ask();
  }, []);
  const change = async (changes, sentence) => {
    try {
      setNow(await put("faults", changes));
      setFailed(null);
      say(sentence);
    } catch (error) {
      setFailed(error);
    }
  };
  return html`
    <section class="card faults" aria-label="Faults and delays">
      <h2>Faults</h2>
      <p class="quiet-text">What this server does wrong on purpose, for you to see what your program makes of it.</p>
      ${failed && html`<${Failure} error=${failed} again=${now ? null : ask} />`}
      ${!now && !failed && html`<${Waiting} />`}
      ${now && html`
        <${Rules} rules=${now.rules} change=${change} />
        <${Delays} now=${now.delays} change=${change} />
      `}
    </section>
  `;
}

function Rules({ rules, change }) {
  const [kind, setKind] = useState("busy");
  const [match, setMatch] = useState("");
  const [times, setTimes] = useState("1");
  const id = useId();
  const add = (event) => {
    event.preventDefault();
    const rule = { match, times: times === "all" ? null : Number(times), ...KINDS[kind].rule };
    change({ rules: [...rules, rule] }, "The fault is on.");
  };
  return html`
    <ul class="rules">
      ${rules.map((rule, at) => html`
        <li key=${at}>
          <span><b>${labelOf(rule)}</b> <span class="quiet-text">${rule.match ? html`of <bdi class="mono">${rule.match}</bdi>` : "of every request"}, ${timesOf(rule)}</span></span>
          <button class="quiet small" aria-label="Turn off: ${labelOf(rule)}" onClick=${() => change({ rules: rules.filter((_, n) => n !== at) }, "The fault is off.")}><${Icon} name="close" /></button>
        </li>
      `)}
      ${!rules.length && html`<li class="faint">None is on.</li>`}
    </ul>
    <form onSubmit=${add}>
      <div class="field">
        <label for="${id}-kind">What</label>
        <select id="${id}-kind" value=${kind} onChange=${(event) => setKind(event.currentTarget.value)}>
          ${Object.entries(KINDS).map(([name, { label }]) => html`<option key=${name} value=${name}>${label}</option>`)}
        </select>
      </div>
      <div class="columns">
        <div class="field">
          <label for="${id}-match">Which</label>
          <select id="${id}-match" value=${match} onChange=${(event) => setMatch(event.currentTarget.value)}>
            ${Object.entries(WHICH).map(([part, label]) => html`<option key=${part} value=${part}>${label}</option>`)}
          </select>
        </div>
        <div class="field">
          <label for="${id}-times">How often</label>
          <select id="${id}-times" value=${times} onChange=${(event) => setTimes(event.currentTarget.value)}>
            <option value="1">once</option><option value="3">three times</option><option value="10">ten times</option><option value="all">until turned off</option>
          </select>
        </div>
      </div>
      <div class="line">
        <button>Turn on</button>
        ${rules.length > 0 && html`<button type="button" class="danger-quiet" onClick=${() => change({ rules: [] }, "All faults are off.")}>All off</button>`}
      </div>
    </form>
  `;
}

function Delays({ now, change }) {
  const given = Object.keys(DELAYS).filter((name) => name in now);
  const [delays, setDelays] = useState(Object.fromEntries(given.map((name) => [name, String(now[name])])));
  const id = useId();
  if (!given.length) return null;
  const save = (event) => {
    event.preventDefault();
    change({ delays: Object.fromEntries(given.map((name) => [name, Number(delays[name]) || 0])) }, "The delays are set.");
  };
  return html`
    <h3>Delays</h3>
    <form onSubmit=${save}>
      ${given.map((name) => html`
        <div class="line delay" key=${name}>
          <input id="${id}-${name}" type="number" min="0" step="any" value=${delays[name]} onInput=${(event) => setDelays({ ...delays, [name]: event.currentTarget.value })} />
          <label for="${id}-${name}">s ${DELAYS[name]}</label>
        </div>
      `)}
      <div class="line"><button>Set delays</button></div>
    </form>
  `;
}

function labelOf(rule) {
  if (rule.reset) return rule.act ? "Carried out, answer lost" : "Connection closed";
  if (rule.status) return `Status ${rule.status}`;
  if (rule.truncate !== undefined && rule.truncate !== null) return `Cut after ${rule.truncate} bytes`;
  return `${rule.delay ?? 0} s late`;
}

function timesOf(rule) {
  const times = rule.times === null ? "until turned off" : rule.times > 1 ? `${rule.times} times` : "once";
  return rule.nth > 1 ? `${times}, from number ${rule.nth}` : times;
}
