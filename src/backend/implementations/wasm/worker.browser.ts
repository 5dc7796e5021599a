import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

/** The properties of a worker's global object that this file uses. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  reportError(error: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  // A rejected promise stays within the worker, so the page learns of failures only from messages.
  serveAsWorker(data as WorkerStart, () => scope.postMessage("ready")).catch(scope.reportError.bind(scope));
};
