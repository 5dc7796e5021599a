import { afterAll, expect, test, vi } from "vitest";

/** Imitates the global object of a browser's worker, because Node has none. */
const scope: { onmessage: ((event: { readonly data: unknown }) => void) | null } = globalThis as never;
const posted = vi.fn();
const reported = vi.fn();
vi.stubGlobal("onmessage", null);
vi.stubGlobal("postMessage", posted);
vi.stubGlobal("reportError", reported);
afterAll(() => vi.unstubAllGlobals());

test("a browser's worker that cannot begin reports it, or the one who waits for it would wait for ever", async () => {
  await import("#foretoken/backend/implementations/wasm/worker.browser.js");
  scope.onmessage?.({ data: { module: "no module", memory: undefined, thread: 1, stackTop: 0 } });
  await vi.waitFor(() => expect(reported).toHaveBeenCalledWith(expect.any(TypeError)), 50_000);
  expect(posted).not.toHaveBeenCalled();
});
