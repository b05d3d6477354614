// What happens: requests as they are answered, and faults to try out what clients make of them.
import { listen } from "../api.js";
import { clock, plural, seconds } from "../format.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Exact } from "../pieces/content.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Failure } from "../pieces/notice.js";
import { about } from "../session.js";
import { useTurn } from "../turns.js";
import { FaultsPanel } from "./faults.js";

const KEPT = 300;
const OWN = "this page";
const BURST = 50;
const AGAIN = [1000, 2000, 5000, 10_000];

export function ActivityPanel() {
  const { requests, state, error, clear } = useRequests();
  const [paused, setPaused] = useState(null);
  const [only, setOnly] = useState("");
  const [others, setOthers] = useState(false);
  const shown = (paused ?? requests).filter((request) => fits(request, only) && !(others && request.client === OWN));
  return html`
    <header class="head">
      <h1>Activity</h1>
      <p class="facts"><span class="live live-${state}" role="status">${{ open: "live", waiting: "connecting", closed: "not connected", held: "waits while other tabs are live" }[state]}</span></p>
    </header>
    <div class="body activity">
      <div class="activity-list">
        <div class="bar">
          <div class="bar-form grow">
            <label class="visually-hidden" for="activity-only">Show only</label>
            <input id="activity-only" value=${only} placeholder="Only those with: query, docs, 404, error…" onInput=${(event) => setOnly(event.currentTarget.value)} />
          </div>
          <button aria-pressed=${others} onClick=${() => setOthers(!others)}>Without this page's</button>
          <button aria-pressed=${paused !== null} onClick=${() => setPaused(paused ? null : requests)}><${Icon} name=${paused ? "play" : "pause"} />${paused ? "Go on" : "Hold"}</button>
          <button onClick=${() => {
            clear();
            setPaused(null);
          }}>Clear</button>
        </div>
        ${error && html`<${Failure} error=${error} />`}
        ${shown.length ? html`<${Requests} requests=${shown} />` : html`
          <${Empty} title=${only ? "None has that" : "Nothing yet"}>
            <p>${only ? "Leave out a word, or wait." : "Requests appear here as they are answered: from stores, from Cloudflare's SDKs and from this page."}</p>
          <//>
        `}
      </div>
      ${about.value.can.faults && html`<${FaultsPanel} />`}
    </div>
  `;
}

const Requests = ({ requests }) => html`
  <div class="table-box">
    <table class="rows stacked facts-rows requests">
      <thead><tr><th>Time</th><th>Operation</th><th>Index</th><th>Status</th><th class="number">Took</th></tr></thead>
      <tbody>
        ${requests.map((request) => request.lost ? html`
          <tr key=${request.n}><td colspan="5" class="quiet-text">${plural(request.lost, "request")} before these came too fast to be shown.</td></tr>
        ` : html`
          <tr key=${request.n}>
            <td class="mono quiet-text nowrap" data-label="Time">${clock(request.at)}</td>
            <td class="main-cell">
              <b><bdi><${Exact} name=${request.operation} /></bdi></b>
              ${request.client && html` <span class="faint"><bdi>${request.client}</bdi></span>`}
              ${request.error && html`<p class="request-error" dir="auto">${request.error}</p>`}
              ${request.hint && html`<p class="request-hint" dir="auto"><${Icon} name="info" />${request.hint}</p>`}
            </td>
            <td data-label="Index">${request.index ? html`<bdi><${Exact} name=${request.index} /></bdi>` : null}</td>
            <td data-label="Status"><${Status} request=${request} /></td>
            <td class="number nowrap" data-label="Took">${seconds(request.seconds)}</td>
          </tr>
        `)}
      </tbody>
    </table>
  </div>
`;

/** The latest requests, the last one first. Listens again when the stream ends, from where it ended. */
function useRequests() {
  const [requests, setRequests] = useState([]);
  const [state, setState] = useState("waiting");
  const [error, setError] = useState(null);
  const last = useRef(null);
  const turn = useTurn();
  useEffect(() => {
    if (!turn) {
      setState("held");
      return undefined;
    }
    const given = new AbortController();
    let timer;
    let failures = 0;
    let waiting = [];
    const flush = () => {
      const added = waiting.reverse();
      waiting = [];
      setRequests((before) => [...added, ...before].slice(0, KEPT));
    };
    const heard = (event, data) => {
      failures = 0;
      if (!waiting.length) setTimeout(flush, BURST); // many at once are one change
      if (event === "lost") waiting.push({ lost: data.lost, n: `lost ${last.current} ${Date.now()}` });
      if (event === "request") {
        last.current = data.n;
        waiting.push(data);
      }
      waiting = waiting.slice(-KEPT);
    };
    const opened = () => {
      if (last.current === null) setRequests([]);
      setState("open");
      setError(null);
    };
    const connect = async () => {
      setState("waiting");
      try {
        await listen("activity", { after: last.current }, opened, heard, given.signal);
      } catch (problem) {
        if (given.signal.aborted) return;
        setError(problem);
        last.current = null; // it may be another server that answers next
      }
      if (given.signal.aborted) return;
      setState("closed");
      timer = setTimeout(connect, AGAIN[Math.min(failures, AGAIN.length - 1)]);
      failures += 1;
    };
    connect();
    return () => {
      clearTimeout(timer);
      given.abort();
    };
  }, [turn]);
  return { requests, state, error, clear: () => setRequests([]) };
}

function fits(request, only) {
  const words = only.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [request.operation, request.index, request.status, request.error, request.hint, request.client].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function Status({ request: { status, error } }) {
  if (status === null || status === undefined) return error ? html`<span class="tag bad">failed</span>` : html`<span class="tag good">done</span>`;
  return html`<span class="tag ${status >= 500 ? "bad" : status >= 400 ? "warn" : "good"}">${status}</span>`;
}
