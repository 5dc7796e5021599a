/** The WebAssembly backend in a browser. With several threads the page must be cross-origin isolated: they share memory. */

import { UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import type { Backend } from "../../backend.ts";
import { chooseWasm, type WasmInstructionSet } from "../../instruction-sets.ts";
import type { WasmHost } from "./engine.ts";
import { openWasmBackend } from "./engine.ts";

// The build puts the files into the bundle (scripts/build/browser.mjs) and replaces these addresses by blob: addresses, or by
// undefined for a file that was not built.
const urls: Readonly<Record<WasmInstructionSet, () => URL | undefined>> = {
  simd128: () => new URL("./kernels.wasm.gz", import.meta.url),
  "relaxed-simd": () => new URL("./kernels.relaxed-simd.wasm.gz", import.meta.url),
};

const load: WasmHost["load"] = async (instructionSet) => {
  const unreadable = (got: string, cause?: unknown): UnsupportedKernelError =>
    new UnsupportedKernelError({
      where: "wasm backend",
      must: "its kernels must be readable",
      got,
      hint: "a Content-Security-Policy whose connect-src has blob:",
      cause,
    });
  const url = urls[instructionSet]();
  if (url === undefined) {
    throw new UnsupportedKernelError({
      where: "wasm backend",
      must: "the instruction set that is asked for must be in the bundle",
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

/** Threads share memory, which only isolated pages may hand to another thread. A single one needs no other's. */
const checkIsolated = (threads: number): void => {
  if (threads === 1) return;
  const { crossOriginIsolated } = globalThis as { readonly crossOriginIsolated?: boolean };
  if (crossOriginIsolated !== false && typeof SharedArrayBuffer !== "undefined") return;
  throw new UnsupportedKernelError({
    where: "wasm backend",
    must: "the page must be cross-origin isolated, for the memory that its threads share",
    got: "one that is not",
    hint: "serving it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or { threads: 1 }",
  });
};

/** Options of `openBackend`. */
export interface WasmOptions {
  /** 1 to 256; default: as many as the browser says that the machine runs at a time. */
  readonly threads?: number | undefined;
  /** Element type of the operands of products; default: float32. */
  readonly dtype?: ProductDType | undefined;
  /**
   * Default: `simd128`. `relaxed-simd`, which not every browser has, is faster if the CPU multiplies and adds in one
   * instruction; its results hold for this CPU and browser, not to the bit elsewhere.
   */
  readonly instructionSet?: WasmInstructionSet | undefined;
}

/**
 * Opens the WebAssembly backend. Call it in a worker: it works on the page's own thread too, but that thread computes
 * with the others, and answers nothing meanwhile.
 *
 * @throws UnsupportedKernelError for more than one thread in a page that is not cross-origin isolated, or if the browser
 *   lacks threads, SIMD or, if asked for, relaxed SIMD
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
