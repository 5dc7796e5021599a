/** The WebAssembly backend in Node. */
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { ConfigError, UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import { askedInstructionSet } from "../../asked-instruction-set.node.ts";
import type { Backend } from "../../backend.ts";
import { chooseWasm, type WasmInstructionSet, wasmInstructionSets } from "../../instruction-sets.ts";
import { defaultThreads } from "../compiled/default-threads.node.ts";
import type { WasmHost } from "./engine.ts";
import { loadKernels, openWasmBackend } from "./engine.ts";

const files: Readonly<Record<WasmInstructionSet, string>> = {
  simd128: "./kernels.wasm",
  "relaxed-simd": "./kernels.relaxed-simd.wasm",
};

const read = async (instructionSet: WasmInstructionSet): Promise<BufferSource> => {
  try {
    return await readFile(new URL(files[instructionSet], import.meta.url));
  } catch (cause) {
    if (instructionSet === "simd128") {
      throw new UnsupportedKernelError({
        where: "wasm backend",
        must: "the WebAssembly kernels must be built",
        hint: "npm run build",
        cause,
      });
    }
    // This instruction set is used only on request, so its absence is a ConfigError. With any other error, `auto` would
    // silently choose another backend.
    throw new ConfigError({
      where: "wasm backend",
      must: "the requested instruction set must be compiled",
      got: instructionSet,
      hint: `simd128, or FORETOKEN_BUILD_ISA=${instructionSet} npm run build first`,
      cause,
    });
  }
};

const load: WasmHost["load"] = async (instructionSet) => {
  const bytes = await read(instructionSet);
  // Node 20 enables relaxed SIMD only with a flag. Later versions always enable it.
  if (instructionSet === "relaxed-simd" && !WebAssembly.validate(bytes)) {
    setFlagsFromString("--experimental-wasm-relaxed-simd");
  }
  return bytes;
};

const startWorker: WasmHost["startWorker"] = (start) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.node.js", import.meta.url), { workerData: start, execArgv: [] });
    const gone = new Promise<void>((over) => worker.once("exit", () => over()));
    worker.on("error", reject);
    worker.once("exit", () => reject(new Error("a worker ended before it started")));
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

const canRun = async (instructionSet: WasmInstructionSet): Promise<boolean> => {
  try {
    await loadKernels(host, instructionSet);
    return true;
  } catch (error) {
    if (error instanceof UnsupportedKernelError || error instanceof ConfigError) return false;
    throw error;
  }
};

/**
 * The settings that `openWasm` would use. This function opens no backend. In Node 20 it may enable relaxed SIMD for all
 * modules.
 * @param asked the instruction set, as in `WasmOptions`
 * @throws UnsupportedKernelError if the backend is not built or the runtime lacks a feature
 * @throws ConfigError for an instruction set that is not available
 */
export const probeWasm = async (
  asked?: string,
): Promise<{
  readonly instructionSet: WasmInstructionSet;
  readonly instructionSets: readonly WasmInstructionSet[];
}> => {
  const instructionSet = chooseWasm(askedInstructionSet(asked));
  await loadKernels(host, instructionSet);
  const runs = await Promise.all(wasmInstructionSets.map(canRun));
  return { instructionSet, instructionSets: wasmInstructionSets.filter((_, i) => runs[i]) };
};

export interface WasmOptions {
  /**
   * Number of threads, from 1 to 256. Default: FORETOKEN_THREADS if it is set, otherwise the number of threads that the
   * machine runs at the same time.
   */
  readonly threads?: number | undefined;
  /** Number format of matrix products; default: float32. */
  readonly dtype?: ProductDType | undefined;
  /** Instruction set. Default: FORETOKEN_ISA if it names a WebAssembly set, otherwise `simd128`. */
  readonly instructionSet?: string | undefined;
}

/**
 * Opens the WebAssembly backend. The worker threads do not keep the process alive, and end with `close`.
 * @throws UnsupportedKernelError if the backend is not built, cannot run or was built from other sources
 * @throws ConfigError for a number of threads outside 1 to 256, or an instruction set that is unknown or not compiled
 */
export const openWasm = async ({
  threads = defaultThreads(),
  dtype = "float32",
  instructionSet,
}: WasmOptions = {}): Promise<Backend> =>
  openWasmBackend(host, threads, dtype, chooseWasm(askedInstructionSet(instructionSet)));
