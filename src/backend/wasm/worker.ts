/** What a worker of the pool does, on any host. */

import type { WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

/** Calls `ready`, then serves the pool until it closes. A kernel that fails here is told to the calling thread. */
export const serveAsWorker = async (start: WorkerStart, ready: () => void): Promise<void> => {
  const exports = await instantiate(start.module, start.memory);
  exports.__stack_pointer.value = start.stackTop;
  ready();
  try {
    exports.worker_main(start.thread);
  } catch {
    exports.worker_abandon();
  }
};
