/** A worker of the thread pool, in Node and in browsers. */
import type { WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

/** Calls `ready`, then runs the pool's work until the pool stops this thread. */
export const serveAsWorker = async (
  { module, memory, thread, stackTop }: WorkerStart,
  ready: () => void,
): Promise<void> => {
  const exports = await instantiate(module, memory);
  exports.__stack_pointer.value = stackTop;
  ready();
  try {
    exports.worker_main(thread);
  } catch {
    // If a kernel fails here, report this to the calling thread; otherwise the calling thread would wait forever.
    exports.worker_abandon();
  }
};
