/** Worker threads in Node. */
import { parentPort, SHARE_ENV, Worker } from "node:worker_threads";
import { createCaller } from "./caller.ts";
import { type CallerMessage, filesIn, type WorkerMessage } from "./messages.ts";
import { createPool, type StartedThread, type ThreadPool, type WorkerThread } from "./pool.ts";
import { type Methods, serve } from "./server.ts";

/**
 * Maximum size of a thread's young generation, in MiB. Without a limit, reading a tokenizer of 49,000 tokens makes it
 * grow to 48 MiB, and it does not shrink. The limit costs no measurable time.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

const start = (entry: URL): StartedThread => {
  // A thread inherits the flags of the program, but Node refuses --input-type for a file. A list without this flag does
  // not work either, because Node refuses the engine's flags in such a list, for example --expose-gc.
  const inherits = !process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const worker = new Worker(entry, { env: SHARE_ENV, resourceLimits, ...(inherits ? {} : { execArgv: [] }) });
  const caller = createCaller(
    (message) => worker.postMessage(message),
    (somebody) => (somebody ? worker.ref() : worker.unref()),
  );
  let isAlive = true;
  let failure: Error | undefined;
  worker.on("message", (message: WorkerMessage) => caller.take(message));
  // Calls fail only after "exit", because the files of the thread are closed and its locks are free only then.
  worker.on("error", (error) => {
    failure = error;
    isAlive = false;
  });
  worker.on("exit", (status) => {
    isAlive = false;
    caller.fail(failure ?? new Error(`the worker thread has ended (${status})`));
  });
  // The process must stay alive only while a caller waits. Call this function after listeners are added, because each
  // new listener keeps the process alive again.
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

/** Takes a thread with the module `entry`, which must call `serveThread`. */
export const takeThread = (entry: URL): WorkerThread => poolOf(entry).take();

/** The module of a thread calls this function. */
export const serveThread = (methods: Methods): void => {
  const port = parentPort;
  if (port === null) throw new Error("this module must run in a worker thread");
  serve(methods, {
    post: (message) => port.postMessage(message, filesIn(message)),
    onMessage: (take) => port.on("message", (message: CallerMessage) => take(message)),
  });
};
