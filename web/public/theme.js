// This script runs before the first paint. Otherwise a page in the dark theme would first appear light.
try {
  const chosen = localStorage.getItem("foretoken.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage, the system's theme applies.
}
