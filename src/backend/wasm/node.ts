/** The WebAssembly backend in Node. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { ProductDType } from "../../core/dtype.ts";
import { UnsupportedKernelError } from "../../core/errors.ts";
import type { Backend } from "../backend.ts";
import type { WasmHost } from "./engine.ts";
import { compileKernels, openWasmBackend } from "./engine.ts";

const load = async (): Promise<BufferSource> => {
  try {
    return await readFile(new URL("./kernels.wasm", import.meta.url));
  } catch (cause) {
    throw new UnsupportedKernelError({ where: "wasm backend", must: "it must be built", hint: "npm run build", cause });
  }
};

const startWorker: WasmHost["startWorker"] = (start) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.node.js", import.meta.url), { workerData: start, execArgv: [] });
    const gone = new Promise<void>((over) => worker.once("exit", () => over()));
    worker.on("error", reject);
    worker.once("exit", () => reject(new Error("a worker ended before it began")));
    worker.once("message", () => {
      worker.unref();
      resolve({
        async end() {
          await worker.terminate();
          await gone;
        },
      });
    });
  });

const host: WasmHost = { load, startWorker };

/**
 * Succeeds where `openWasm` can be expected to.
 *
 * @throws UnsupportedKernelError where it is not built or the runtime lacks what it needs
 */
export const probeWasm = async (): Promise<void> => {
  await compileKernels(host);
};

export interface WasmOptions {
  /** 1 to 256; by default as many as the machine runs at a time. */
  readonly threads?: number | undefined;
  /** Of the operands of products: float32 unless told otherwise. */
  readonly dtype?: ProductDType | undefined;
}

/**
 * Opens the WebAssembly backend. Its worker threads keep no process alive and end with `close`.
 *
 * @throws UnsupportedKernelError where it is not built, cannot run or was built from other sources
 * @throws ConfigError for a number of threads that is not from 1 to 256
 */
export const openWasm = ({ threads = availableParallelism(), dtype = "float32" }: WasmOptions = {}): Promise<Backend> =>
  openWasmBackend(host, threads, dtype);
