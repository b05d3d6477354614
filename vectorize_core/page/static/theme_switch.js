// Day, night, or as the system has it.
import { html, signal } from "./lib.js";
import { Icon } from "./pieces/icon.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Whether it is night; the map's colours depend on it. */
export const night = signal(isNight());
dark.addEventListener("change", () => {
  night.value = isNight();
});

export function ThemeSwitch() {
  const to = night.value ? "light" : "dark";
  const change = () => {
    const asSystem = (to === "dark") === dark.matches;
    if (asSystem) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = to;
    try {
      if (asSystem) localStorage.removeItem("vectorize-theme");
      else localStorage.setItem("vectorize-theme", to);
    } catch {
      // It holds for this view then.
    }
    night.value = isNight();
  };
  const label = to === "dark" ? "Night" : "Day";
  return html`<button class="quiet small" onClick=${change} aria-label="Switch to ${label.toLowerCase()}"><${Icon} name=${to === "dark" ? "moon" : "sun"} />${label}</button>`;
}

function isNight() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}
