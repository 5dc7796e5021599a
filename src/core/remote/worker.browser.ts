/** Worker threads in a browser page. */
import { ConfigError } from "../errors/errors.ts";
import { createCaller } from "./caller.ts";
import { type CallerMessage, filesIn, type WorkerMessage } from "./messages.ts";
import type { StartedThread } from "./pool.ts";
import { type Methods, serve } from "./server.ts";

/** The properties of a worker's global object that this file uses. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: WorkerMessage, give: ArrayBuffer[]): void;
}

const noWorker = (got: string, cause?: unknown): ConfigError =>
  new ConfigError({
    where: "worker",
    must: "the page must be able to start a worker",
    got,
    hint: "a Content-Security-Policy whose worker-src has blob:, or train with worker: false and loadPretrained",
    cause,
  });

/**
 * Starts a worker with `make`. The module of the worker must call `serveWorker`.
 * @throws ConfigError if the page cannot start a worker; a later call may fail with this error too.
 */
export const startWorker = (make: () => Worker): StartedThread => {
  let worker: Worker;
  try {
    worker = make();
  } catch (cause) {
    throw noWorker(cause instanceof Error ? cause.message : String(cause), cause);
  }
  let isAlive = true;
  const caller = createCaller((message) => worker.postMessage(message));
  const end = (): void => {
    isAlive = false;
    worker.terminate();
  };
  worker.onmessage = ({ data }) => caller.take(data as WorkerMessage);
  // An event without a message means that the module could not be loaded. An event with a message means that the module
  // threw an error that no code caught.
  worker.onerror = ({ message }: { readonly message?: string }) => {
    end();
    caller.fail(
      message === undefined || message === "" ? noWorker("none") : new Error(`the worker failed: ${message}`),
    );
  };
  return {
    caller,
    isAlive: () => isAlive,
    end() {
      end();
      caller.fail(new Error("the worker has ended"));
    },
  };
};

/** The module of a worker calls this function. */
export const serveWorker = (methods: Methods): void => {
  const scope = globalThis as unknown as WorkerScope;
  serve(methods, {
    post: (message) => scope.postMessage(message, filesIn(message)),
    onMessage: (take) => {
      scope.onmessage = ({ data }) => take(data as CallerMessage);
    },
  });
};
