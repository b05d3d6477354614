// The page: where one is on the left, what one looks at on the right.
import { tokenNeeded } from "./api.js";
import { count } from "./format.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { ActivityPanel } from "./panels/activity.js";
import { IndexPanel } from "./panels/index.js";
import { IndexesPanel } from "./panels/indexes.js";
import { MapPanel } from "./panels/map.js";
import { RecordPanel } from "./panels/record.js";
import { RecordsPanel } from "./panels/records.js";
import { SearchPanel } from "./panels/search.js";
import { TokenPanel } from "./panels/token.js";
import { Id } from "./pieces/content.js";
import { Icon } from "./pieces/icon.js";
import { Failure, Waiting } from "./pieces/notice.js";
import { route, toIndex, toPanel } from "./routing.js";
import { about, details, failure, indexes, open, refresh, said } from "./session.js";
import { ThemeSwitch } from "./theme_switch.js";

const TABS = [
  { tab: "about", label: "About", icon: "info", panel: IndexPanel },
  { tab: "records", label: "Records", icon: "list", panel: RecordsPanel },
  { tab: "search", label: "Search", icon: "search", panel: SearchPanel },
  { tab: "map", label: "Map", icon: "map", panel: MapPanel },
];
const KINDS = { directory: "Embedded", memory: "In memory", server: "Server", cloudflare: "Cloudflare" };

function App() {
  useEffect(() => {
    open();
  }, []);
  useTitle();
  if (tokenNeeded.value) return html`<${TokenPanel} />`;
  if (failure.value) return html`<main class="alone"><${Failure} error=${failure.value} again=${open} /></main>`;
  if (!about.value || !indexes.value) return html`<main class="alone"><${Waiting} what="Opening" /></main>`;
  const { panel, index } = route.value;
  return html`
    <button class="skip" onClick=${() => document.querySelector("main").focus()}>To the content</button>
    <div class="shell">
      <${Sidebar} />
      <main tabindex="-1">
        ${index !== null
          ? html`<${OneIndex} key=${index} name=${index} />`
          : panel === "activity" ? html`<${ActivityPanel} />` : html`<${IndexesPanel} />`}
      </main>
    </div>
    <p class="said ${said.value && "on"}" role="status">${said.value}</p>
  `;
}

function Sidebar() {
  const { panel, index } = route.value;
  const { title, kind, version, can } = about.value;
  return html`
    <nav class="sidebar" aria-label="Main">
      <a class="brand" href=${toPanel("")}>
        <img src="page/icon.svg" alt="" width="28" height="28" />
        <span class="brand-text">
          <span class="brand-name">Vectorize</span>
          <span class="brand-where" title=${title}>${KINDS[kind] ?? kind}${kind === "memory" ? "" : html` · <bdi>${kind === "directory" ? lastName(title) : title}</bdi>`}</span>
        </span>
      </a>
      <div class="side-group">
        <a class="side-link side-head" href=${toPanel("")} aria-current=${index === null && panel === "indexes" ? "page" : null}>
          <${Icon} name="list" />Indexes<span class="side-count">${count(indexes.value.length)}</span>
        </a>
        <ul class="side-list">
          ${indexes.value.map(({ name }) => html`
            <li key=${name}>
              <a class="side-link" href=${toIndex(name, index === null ? "records" : panel)} aria-current=${index === name ? "page" : null}>
                <bdi class="side-name" title=${name}>${name}</bdi>
              </a>
            </li>
          `)}
        </ul>
      </div>
      ${can.activity && html`
        <a class="side-link" href=${toPanel("activity")} aria-current=${panel === "activity" ? "page" : null}>
          <${Icon} name="activity" />Activity
        </a>
      `}
      <div class="side-foot"><${ThemeSwitch} /><span class="faint">${version}</span></div>
    </nav>
  `;
}

function OneIndex({ name }) {
  const { panel, given } = route.value;
  const known = details.value.get(name);
  const [failed, setFailed] = useState(null);
  const ask = () => refresh(name).then(() => setFailed(null), setFailed);
  useEffect(() => {
    ask();
  }, [name, panel]);
  const { panel: Panel } = TABS.find(({ tab }) => tab === panel);
  const beside = given.record !== undefined && panel !== "about" && !failed;
  return html`
    <div class="with-side ${beside ? "open" : ""}">
      <div class="view">
        <header class="head">
          <h1><${Id} id=${name} /></h1>
          ${known && html`<${Facts} index=${known} />`}
          <nav class="tabs" aria-label="Views of the index">
            ${TABS.map(({ tab, label, icon }) => html`
              <a key=${tab} href=${toIndex(name, tab)} aria-current=${tab === panel ? "page" : null}><${Icon} name=${icon} />${label}</a>
            `)}
          </nav>
        </header>
        <div class="body body-${panel}">
          ${failed
            ? html`<${Failure} error=${failed} again=${ask}><p><a href=${toPanel("")}>All indexes</a></p><//>`
            : html`<${Panel} name=${name} given=${given} index=${known} />`}
        </div>
      </div>
      ${beside && html`<${RecordPanel} key=${given.record} name=${name} id=${given.record} />`}
    </div>
  `;
}

const Facts = ({ index }) => html`
  <p class="facts">
    <span><b>${count(index.vectors)}</b> vectors</span>
    <span><b>${count(index.dimensions)}</b> dimensions</span>
    <span>${index.metric}</span>
    ${index.pending ? html`<span class="tag warn">${index.pending === true ? "writes" : count(index.pending)} pending</span>` : null}
  </p>
`;

/** A directory without those that it is in. */
const lastName = (path) => path.split(/[\\/]/).findLast(Boolean) ?? path;

/** The title says where one is; a new view begins at its top. */
function useTitle() {
  const { panel, index } = route.value;
  const before = useRef(null);
  useLayoutEffect(() => {
    document.title = [index, index === null || panel !== "about" ? panel : null, "Vectorize"].filter(Boolean).join(" · ");
    const view = `${index}/${panel}`;
    if (before.current !== null && before.current !== view) scrollTo(0, 0);
    before.current = view;
  }, [panel, index]);
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${App} />`, page);
