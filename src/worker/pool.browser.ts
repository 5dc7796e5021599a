import { createPool } from "../core/remote/pool.ts";
import { startWorker } from "../core/remote/worker.browser.ts";

/**
 * Pool of workers that train or load models. The bundle contains the module of the workers as a blob: address
 * (scripts/build/browser.mjs).
 */
export const workers = createPool(() =>
  startWorker(() => new Worker(new URL("./entry.browser.js", import.meta.url), { type: "module" })),
);
