import { createPool } from "../core/remote/pool.ts";
import { startWorker } from "../core/remote/worker.browser.ts";

/**
 * Workers that train and hold models. In the bundle the module that they run is part of it, and its address a blob: one
 * (scripts/build-browser.mjs).
 */
export const workers = createPool(() =>
  startWorker(() => new Worker(new URL("./entry.browser.js", import.meta.url), { type: "module" })),
);
