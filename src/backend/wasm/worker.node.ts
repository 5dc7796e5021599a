/** What a worker of the pool does: it tells its parent that it is ready, then serves the pool until it is ended. */
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

const { module, memory, thread, stackTop } = workerData as WorkerStart;
const exports = await instantiate(module, memory);
exports.__stack_pointer.value = stackTop;
parentPort?.postMessage("ready");
try {
  exports.worker_main(thread);
} catch {
  // The calling thread must hear of a kernel that fails here, or it would wait for ever.
  exports.worker_abandon();
}
