/** Threads of Node that work on calls. One that is free is kept for the next call: to start one takes longer than a step. */
import { parentPort, SHARE_ENV, Worker } from "node:worker_threads";
import { type Caller, createCaller } from "./caller.ts";
import type { CallerMessage, WorkerMessage } from "./messages.ts";
import { type Methods, serve } from "./server.ts";

/** A thread of its own, until it is given back. */
export interface WorkerThread extends Pick<Caller, "call"> {
  /** For the next who asks; a call that is under way fails. */
  release(): void;
}

interface Started {
  readonly caller: Caller;
  readonly worker: Worker;
  alive: boolean;
}

const start = (entry: URL): Started => {
  // The program's flags are a thread's too, but for one that says how the program's own text is to be taken: it is refused
  // for a file. Given as a list they would be checked, and the engine's, as --expose-gc, be refused.
  const inherits = !process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const worker = new Worker(entry, { env: SHARE_ENV, ...(inherits ? {} : { execArgv: [] }) });
  const caller = createCaller(
    (message) => worker.postMessage(message),
    (somebody) => (somebody ? worker.ref() : worker.unref()),
  );
  const started = { caller, worker, alive: true };
  const gone = (error: Error): void => {
    started.alive = false;
    caller.fail(error);
  };
  worker.on("message", (message: WorkerMessage) => caller.take(message));
  // The end follows: only then are its files closed, and what it had locked is free.
  let failure: Error | undefined;
  worker.on("error", (error) => {
    failure = error;
    started.alive = false;
  });
  worker.on("exit", (status) => gone(failure ?? new Error(`the worker thread has ended (${status})`)));
  // Only who waits for it keeps the process alive. After the listeners: each added one would keep it alive again.
  worker.unref();
  return started;
};

/** At most one for an entry. */
const idle = new Map<string, Started>();

/** Starts a thread for who will ask for one soon: it loads its modules beside those of this one. */
export const prepareThread = (entry: URL): void => {
  if (!idle.has(entry.href)) idle.set(entry.href, start(entry));
};

/** A thread that runs the module `entry`, which calls `serveThread`. */
export const takeThread = (entry: URL): WorkerThread => {
  const kept = idle.get(entry.href);
  idle.delete(entry.href);
  const thread = kept?.alive === true ? kept : start(entry);
  let released = false;
  return {
    call: (method, args, options) => thread.caller.call(method, args, options),
    release() {
      if (released) return;
      released = true;
      if (thread.alive && !idle.has(entry.href)) idle.set(entry.href, thread);
      else void thread.worker.terminate();
    },
  };
};

/** To be called by the module that a thread runs. */
export const serveThread = (methods: Methods): void => {
  const port = parentPort;
  if (port === null) throw new Error("this module is for a worker thread");
  serve(methods, {
    post: (message) => port.postMessage(message),
    onMessage: (take) => port.on("message", (message: CallerMessage) => take(message)),
  });
};
