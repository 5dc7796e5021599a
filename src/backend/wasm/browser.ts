/** The WebAssembly backend in a browser. The page must be cross-origin isolated, or there is no shared memory. */
import { UnsupportedKernelError } from "../../core/errors.ts";
import type { Backend } from "../backend.ts";
import type { WasmHost } from "./engine.ts";
import { openWasmBackend } from "./engine.ts";

const load = async (): Promise<BufferSource> => {
  const url = new URL("./kernels.wasm", import.meta.url);
  const response = await fetch(url);
  if (response.ok) return response.arrayBuffer();
  throw new UnsupportedKernelError({
    where: "wasm backend",
    must: `its kernels must be served at ${url.pathname}`,
    got: `status ${response.status}`,
  });
};

const startWorker: WasmHost["startWorker"] = (start) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.browser.js", import.meta.url), { type: "module" });
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = () => resolve({ end: async () => worker.terminate() });
    worker.postMessage(start);
  });

export interface WasmOptions {
  /** 1 to 256; by default as many as the browser says the machine runs at a time. */
  readonly threads?: number | undefined;
}

/**
 * Opens the WebAssembly backend. Call it in a worker: on the main thread it works too, but spins while it waits.
 *
 * @throws {UnsupportedKernelError} without shared memory, SIMD or the kernels' file
 * @throws {ConfigError} for a number of threads that is not from 1 to 256
 */
export const openWasm = ({ threads = navigator.hardwareConcurrency }: WasmOptions = {}): Promise<Backend> =>
  openWasmBackend({ load, startWorker }, threads);
