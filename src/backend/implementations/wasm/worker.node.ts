import { parentPort, workerData } from "node:worker_threads";
import type { WorkerStart } from "./exports.ts";
import { serveAsWorker } from "./worker.ts";

await serveAsWorker(workerData as WorkerStart, () => parentPort?.postMessage("ready"));
