/** Work of a pool's worker, in Node and in browsers. */
import type { WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

/** Calls `ready`, then serves the pool until it is ended. */
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
    // The calling thread must learn of a kernel that fails here, or it would wait for ever.
    exports.worker_abandon();
  }
};
