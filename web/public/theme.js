// Runs before the first paint, so that a page in the dark theme does not flash.
try {
  const chosen = localStorage.getItem("foretoken.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage, the system's theme applies.
}
