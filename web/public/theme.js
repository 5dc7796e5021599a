// Before the first paint, so that a page that was switched to dark does not flash.
try {
  const chosen = localStorage.getItem("foretoken.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's choice stays.
}
