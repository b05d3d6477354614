// What happens: requests as they are answered, and faults to try out what clients make of them.
import { listen } from "../api.js";
import { clock, seconds } from "../format.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Icon } from "../pieces/icon.js";
import { Empty, Failure } from "../pieces/notice.js";
import { about } from "../session.js";
import { FaultsPanel } from "./faults.js";

const KEPT = 300;
const AGAIN = [1000, 2000, 5000, 10_000];

export function ActivityPanel() {
  const { requests, state, error, clear } = useRequests();
  const [paused, setPaused] = useState(null);
  const [only, setOnly] = useState("");
  const shown = (paused ?? requests).filter((request) => fits(request, only));
  return html`
    <header class="head">
      <h1>Activity</h1>
      <p class="facts"><span class="live live-${state}" role="status">${{ open: "live", waiting: "connecting", closed: "not connected" }[state]}</span></p>
    </header>
    <div class="body activity">
      <div class="activity-list">
        <div class="bar">
          <div class="bar-form grow">
            <label class="visually-hidden" for="activity-only">Show only</label>
            <input id="activity-only" value=${only} placeholder="Only those with: query, docs, 404, error…" onInput=${(event) => setOnly(event.currentTarget.value)} />
          </div>
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
        ${requests.map((request) => html`
          <tr key=${request.number}>
            <td class="mono quiet-text nowrap" data-label="Time">${clock(request.at)}</td>
            <td class="main-cell">
              <b>${request.operation}</b>
              ${request.client && html` <span class="faint">${request.client}</span>`}
              ${request.error && html`<p class="request-error" dir="auto">${request.error}</p>`}
              ${request.hint && html`<p class="request-hint" dir="auto"><${Icon} name="info" />${request.hint}</p>`}
            </td>
            <td data-label="Index"><bdi>${request.index ?? ""}</bdi></td>
            <td data-label="Status"><span class="tag ${tone(request.status)}">${request.status ?? "no answer"}</span></td>
            <td class="number nowrap" data-label="Took">${seconds(request.seconds)}</td>
          </tr>
        `)}
      </tbody>
    </table>
  </div>
`;

/** The latest requests, the last one first. Listens again when the stream ends. */
function useRequests() {
  const [requests, setRequests] = useState([]);
  const [state, setState] = useState("waiting");
  const [error, setError] = useState(null);
  const number = useRef(0);
  useEffect(() => {
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
      setState("open");
      setError(null);
      failures = 0;
      if (event !== "past" && event !== "request") return;
      if (!waiting.length) setTimeout(flush, 50); // a burst is one change
      for (const one of event === "past" ? data.requests : [data]) {
        number.current += 1;
        waiting.push({ ...one, number: number.current });
      }
      waiting = waiting.slice(-KEPT);
    };
    const connect = async () => {
      setState("waiting");
      try {
        setTimeout(() => given.signal.aborted || setState((now) => (now === "waiting" && failures === 0 ? "open" : now)), 500);
        setRequests([]);
        await listen("activity", heard, given.signal);
      } catch (problem) {
        if (given.signal.aborted) return;
        setError(problem);
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
  }, []);
  return { requests, state, error, clear: () => setRequests([]) };
}

function fits(request, only) {
  const words = only.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [request.operation, request.index, request.status, request.error, request.hint, request.client].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

const tone = (status) => (status === null || status === undefined || status >= 500 ? "bad" : status >= 400 ? "warn" : "good");
