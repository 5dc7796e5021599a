import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

/** The used part of a worker's global object. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  reportError(error: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  // The other side learns of failures only by messages: a rejected promise stays within the worker.
  serveAsWorker(data as WorkerStart, () => scope.postMessage("ready")).catch(scope.reportError.bind(scope));
};
