/** The WebAssembly backend in a browser. Several threads share memory, so the page must be cross-origin isolated. */

import { UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import type { Backend } from "../../backend.ts";
import { chooseWasm, type WasmInstructionSet } from "../../instruction-sets.ts";
import type { WasmHost } from "./engine.ts";
import { openWasmBackend } from "./engine.ts";

// The build bundles the files (scripts/build/browser.mjs) and replaces these addresses by blob: addresses. If a file
// was not built, the build replaces its address by undefined.
const urls: Readonly<Record<WasmInstructionSet, () => URL | undefined>> = {
  simd128: () => new URL("./kernels.wasm.gz", import.meta.url),
  "relaxed-simd": () => new URL("./kernels.relaxed-simd.wasm.gz", import.meta.url),
};

const load: WasmHost["load"] = async (instructionSet) => {
  const unreadable = (got: string, cause?: unknown): UnsupportedKernelError =>
    new UnsupportedKernelError({
      where: "wasm backend",
      must: "the WebAssembly kernels must be readable",
      got,
      hint: "a Content-Security-Policy whose connect-src has blob:",
      cause,
    });
  const url = urls[instructionSet]();
  if (url === undefined) {
    throw new UnsupportedKernelError({
      where: "wasm backend",
      must: "the requested instruction set must be in the bundle",
      got: instructionSet,
      hint: `simd128, or FORETOKEN_BUILD_ISA=${instructionSet} npm run build first`,
    });
  }
  const response = await fetch(url).catch((cause: unknown) => {
    throw unreadable(String(cause), cause);
  });
  if (!response.ok || response.body === null) throw unreadable(`status ${response.status}`);
  return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

const startWorker: WasmHost["startWorker"] = (start) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.browser.js", import.meta.url), { type: "module" });
    worker.onerror = ({ message = "no worker; a Content-Security-Policy must have blob: in worker-src" }) =>
      reject(new Error(message));
    worker.onmessage = () => resolve({ end: async () => worker.terminate() });
    worker.postMessage(start);
  });

/**
 * Threads share memory. Browsers allow shared memory only in isolated pages. A single thread needs no shared memory.
 */
const checkIsolated = (threads: number): void => {
  if (threads === 1) return;
  const { crossOriginIsolated } = globalThis as { readonly crossOriginIsolated?: boolean };
  if (crossOriginIsolated !== false && typeof SharedArrayBuffer !== "undefined") return;
  throw new UnsupportedKernelError({
    where: "wasm backend",
    must: "the page must be cross-origin isolated, because threads share memory",
    got: "a page without this isolation",
    hint: "serving it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or { threads: 1 }",
  });
};

/** Options of `openBackend`. */
export interface WasmOptions {
  /** Number of threads, from 1 to 256. Default: the number of threads that the browser reports. */
  readonly threads?: number | undefined;
  /** Number format of matrix products; default: float32. */
  readonly dtype?: ProductDType | undefined;
  /**
   * Instruction set. Default: `simd128`. `relaxed-simd` is faster if the CPU multiplies and adds in one instruction,
   * but not every browser has it. The last bits of the results of `relaxed-simd` depend on the CPU and the browser.
   */
  readonly instructionSet?: WasmInstructionSet | undefined;
}

/**
 * Opens the WebAssembly backend. Call it in a worker. The backend also works on the page's main thread, but then the
 * page does not respond during a computation.
 * @throws UnsupportedKernelError for several threads in a page without cross-origin isolation, or if the browser lacks
 * threads, SIMD or a requested relaxed SIMD
 * @throws ConfigError for a number of threads that is not from 1 to 256 or an unknown instruction set
 */
export const openWasm = async ({
  threads = navigator.hardwareConcurrency,
  dtype = "float32",
  instructionSet,
}: WasmOptions = {}): Promise<Backend> => {
  checkIsolated(threads);
  const asked = instructionSet === undefined ? undefined : ({ by: "instructionSet", name: instructionSet } as const);
  return openWasmBackend({ load, startWorker }, threads, dtype, chooseWasm(asked));
};
