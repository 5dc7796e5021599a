// Threads share memory only in a page with two headers, which many hosts cannot be told to send. This file is both: in the page it
// starts a service worker, and as that service worker it hands on the host's answers with the headers. Nothing is kept.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const withHeaders = async (request) => {
  const response = await fetch(request);
  // An answer of another origin, whose headers may not be seen.
  if (response.status === 0) return response;
  const all = new Headers(response.headers);
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers: all });
};

/** Loads the page again, through the service worker: once, or a browser that does not isolate would never stop. */
const loadAgain = () => {
  try {
    if (sessionStorage.getItem("foretoken.isolating") !== null) return;
    sessionStorage.setItem("foretoken.isolating", "yes");
  } catch {
    return;
  }
  location.reload();
};

const startInPage = async (script) => {
  if (crossOriginIsolated) {
    sessionStorage.removeItem("foretoken.isolating");
    return;
  }
  // No secure context, no service worker: the page computes with one thread, and says so.
  if (navigator.serviceWorker === undefined) return;
  await navigator.serviceWorker.register(script);
  await navigator.serviceWorker.ready;
  loadAgain();
};

if (typeof document === "undefined") {
  addEventListener("install", () => skipWaiting());
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    if (new URL(event.request.url).origin === location.origin) event.respondWith(withHeaders(event.request));
  });
} else {
  startInPage(document.currentScript.src).catch(() => undefined);
}
