/** A worker of the thread pool, in Node and in browsers. */
import type { WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

/** Calls `ready`, then works for the pool until the pool ends it. */
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
    // Report a kernel that fails here; otherwise the calling thread would wait forever.
    exports.worker_abandon();
  }
};
