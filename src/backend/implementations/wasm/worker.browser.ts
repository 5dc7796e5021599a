import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

/** The part of a worker's global object that is used here. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  reportError(error: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  // Whoever waits for "ready" gets only reported errors: a rejected promise stays within the worker.
  serveAsWorker(data as WorkerStart, () => scope.postMessage("ready")).catch(scope.reportError.bind(scope));
};
