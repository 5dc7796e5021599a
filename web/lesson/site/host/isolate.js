// Threads share memory only if the host sends two headers with the page. Many hosts cannot send these headers. So this
// file runs in two places. In the page, it starts a service worker. In that service worker, it adds the headers to the
// host's responses. The file stores nothing.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const withHeaders = async (request) => {
  const response = await fetch(request);
  // Opaque response from another origin. The headers of such a response cannot be read.
  if (response.status === 0) return response;
  const all = new Headers(response.headers);
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers: all });
};

/**
 * Reloads the page once. After that, the service worker delivers the page. A browser that never isolates the page would
 * otherwise reload it forever.
 */
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
  // Service workers need a secure context. Without one, the page computes with one thread and says so.
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
