// Before the first paint, and so not a module: day or night, if somebody chose.
try {
  const chosen = localStorage.getItem("vectorize-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing follows the system.
}
