/** Threads of Node that work on calls. */
import { parentPort, SHARE_ENV, Worker } from "node:worker_threads";
import { createCaller } from "./caller.ts";
import { type CallerMessage, filesIn, type WorkerMessage } from "./messages.ts";
import { createPool, type StartedThread, type ThreadPool, type WorkerThread } from "./pool.ts";
import { type Methods, serve } from "./server.ts";

const start = (entry: URL): StartedThread => {
  // A thread has the program's flags too, except one about the program's own text, which is refused for a file. As a list
  // they would be checked, and the engine's flags, such as --expose-gc, refused.
  const inherits = !process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const worker = new Worker(entry, { env: SHARE_ENV, ...(inherits ? {} : { execArgv: [] }) });
  const caller = createCaller(
    (message) => worker.postMessage(message),
    (somebody) => (somebody ? worker.ref() : worker.unref()),
  );
  let isAlive = true;
  let failure: Error | undefined;
  worker.on("message", (message: WorkerMessage) => caller.take(message));
  // The end comes later: only then are its files closed and its locks free.
  worker.on("error", (error) => {
    failure = error;
    isAlive = false;
  });
  worker.on("exit", (status) => {
    isAlive = false;
    caller.fail(failure ?? new Error(`the worker thread has ended (${status})`));
  });
  // Only a waiting caller keeps the process alive. After the listeners: each added one would keep it alive again.
  worker.unref();
  return { caller, isAlive: () => isAlive, end: () => void worker.terminate() };
};

const pools = new Map<string, ThreadPool>();

const poolOf = (entry: URL): ThreadPool => {
  const pool = pools.get(entry.href) ?? createPool(() => start(entry));
  pools.set(entry.href, pool);
  return pool;
};

/** Starts a thread with the module `entry` for a later `takeThread`. */
export const prepareThread = (entry: URL): void => poolOf(entry).prepare();

/** A thread with the module `entry`, which calls `serveThread`. */
export const takeThread = (entry: URL): WorkerThread => poolOf(entry).take();

/** The module of a thread calls this. */
export const serveThread = (methods: Methods): void => {
  const port = parentPort;
  if (port === null) throw new Error("this module is for a worker thread");
  serve(methods, {
    post: (message) => port.postMessage(message, filesIn(message)),
    onMessage: (take) => port.on("message", (message: CallerMessage) => take(message)),
  });
};
