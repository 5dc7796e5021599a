import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

/** The global object of a worker, as far as it is used here. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  reportError(error: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  // Only what is reported reaches the one who waits for "ready": a rejected promise stays within the worker.
  serveAsWorker(data as WorkerStart, () => scope.postMessage("ready")).catch(scope.reportError.bind(scope));
};
