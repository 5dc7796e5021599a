import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

/** The global object of a worker, as far as it is used here. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  void serveAsWorker(data as WorkerStart, () => scope.postMessage("ready"));
};
