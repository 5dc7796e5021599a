/** The WebAssembly backend in a browser. The page must be cross-origin isolated, or there is no shared memory. */
import type { ProductDType } from "../../../core/dtype.ts";
import { UnsupportedKernelError } from "../../../core/errors.ts";
import type { Backend } from "../../backend.ts";
import { chooseWasm, type WasmInstructionSet } from "../../instruction-sets.ts";
import type { WasmHost } from "./engine.ts";
import { openWasmBackend } from "./engine.ts";

// The build puts the files into the bundle (scripts/build-browser.mjs), and these addresses are then blob: ones, or undefined
// where a file was not built.
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

/** Shared memory, which the threads meet in, is had by isolated pages only. */
const checkIsolated = (): void => {
  const { crossOriginIsolated } = globalThis as { readonly crossOriginIsolated?: boolean };
  if (crossOriginIsolated !== false && typeof SharedArrayBuffer !== "undefined") return;
  throw new UnsupportedKernelError({
    where: "wasm backend",
    must: "the page must be cross-origin isolated, for the memory that its threads share",
    got: "one that is not",
    hint: "serving it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
  });
};

/** How `openBackend` opens one. */
export interface WasmOptions {
  /** 1 to 256; by default as many as the browser says that the machine runs at a time. */
  readonly threads?: number | undefined;
  /** Of the operands of products: float32 unless told otherwise. */
  readonly dtype?: ProductDType | undefined;
  /**
   * `simd128` unless told otherwise. `relaxed-simd`, which not every browser has, is faster where the CPU multiplies and
   * adds in one instruction; results then are those of this CPU and browser, and not the same to the bit elsewhere.
   */
  readonly instructionSet?: WasmInstructionSet | undefined;
}

/**
 * Opens the WebAssembly backend. Call it in a worker: on the page's own thread it works too, but that thread computes
 * with the others, and answers nothing meanwhile.
 *
 * @throws UnsupportedKernelError where the page is not cross-origin isolated, or the browser lacks SIMD, relaxed where it is asked for,
 *   or threads
 * @throws ConfigError for a number of threads that is not from 1 to 256 or an unknown instruction set
 */
export const openWasm = async ({
  threads = navigator.hardwareConcurrency,
  dtype = "float32",
  instructionSet,
}: WasmOptions = {}): Promise<Backend> => {
  checkIsolated();
  const asked = instructionSet === undefined ? undefined : ({ by: "instructionSet", name: instructionSet } as const);
  return openWasmBackend({ load, startWorker }, threads, dtype, chooseWasm(asked));
};
