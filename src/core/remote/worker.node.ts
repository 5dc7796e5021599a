/** Threads of Node that work on calls. */
import { parentPort, SHARE_ENV, Worker } from "node:worker_threads";
import { createCaller } from "./caller.ts";
import type { CallerMessage, WorkerMessage } from "./messages.ts";
import { createPool, type StartedThread, type ThreadPool, type WorkerThread } from "./pool.ts";
import { type Methods, serve } from "./server.ts";

const start = (entry: URL): StartedThread => {
  // The program's flags are a thread's too, but for one that says how the program's own text is to be taken: it is refused
  // for a file. Given as a list they would be checked, and the engine's, as --expose-gc, be refused.
  const inherits = !process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const worker = new Worker(entry, { env: SHARE_ENV, ...(inherits ? {} : { execArgv: [] }) });
  const caller = createCaller(
    (message) => worker.postMessage(message),
    (somebody) => (somebody ? worker.ref() : worker.unref()),
  );
  let isAlive = true;
  let failure: Error | undefined;
  worker.on("message", (message: WorkerMessage) => caller.take(message));
  // The end follows: only then are its files closed, and what it had locked is free.
  worker.on("error", (error) => {
    failure = error;
    isAlive = false;
  });
  worker.on("exit", (status) => {
    isAlive = false;
    caller.fail(failure ?? new Error(`the worker thread has ended (${status})`));
  });
  // Only who waits for it keeps the process alive. After the listeners: each added one would keep it alive again.
  worker.unref();
  return { caller, isAlive: () => isAlive, end: () => void worker.terminate() };
};

const pools = new Map<string, ThreadPool>();

const poolOf = (entry: URL): ThreadPool => {
  const pool = pools.get(entry.href) ?? createPool(() => start(entry));
  pools.set(entry.href, pool);
  return pool;
};

/** Starts a thread that runs the module `entry` for who will ask for one soon. */
export const prepareThread = (entry: URL): void => poolOf(entry).prepare();

/** A thread that runs the module `entry`, which calls `serveThread`. */
export const takeThread = (entry: URL): WorkerThread => poolOf(entry).take();

/** To be called by the module that a thread runs. */
export const serveThread = (methods: Methods): void => {
  const port = parentPort;
  if (port === null) throw new Error("this module is for a worker thread");
  serve(methods, {
    post: (message) => port.postMessage(message),
    onMessage: (take) => port.on("message", (message: CallerMessage) => take(message)),
  });
};
