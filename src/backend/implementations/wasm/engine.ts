/** The WebAssembly backend. A host provides the functions that differ between Node and browsers. */

import { UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { HostData, ProductDType } from "../../../core/tensors/dtype.ts";
import type { Backend } from "../../backend.ts";
import type { WasmInstructionSet } from "../../instruction-sets.ts";
import { compiledBackend, outOfMemory } from "../compiled/compiled.ts";
import { type CompiledKernel, checkCompiledKernels, checkThreads, type Engine } from "../compiled/engine.ts";
import { packetLayout } from "../compiled/packet.ts";
import type { WasmExports, WorkerStart } from "./exports.ts";
import { instantiate } from "./exports.ts";

export interface WasmWorker {
  /** Resolves when the worker has ended. */
  end(): Promise<void>;
}

/** The functions that differ between Node and browsers. Tests write their own hosts. */
export interface WasmHost {
  /** Returns the bytes of the module for an instruction set. */
  load(instructionSet: WasmInstructionSet): Promise<BufferSource>;
  /**
   * Starts a worker. Resolves just before the worker enters its loop; rejects if the worker cannot start. The worker
   * must not keep the process alive.
   */
  startWorker(start: WorkerStart): Promise<WasmWorker>;
}

const pageBytes = 65536;
const initialPages = 64;
const maximumPages = 65536;

const unavailable = (must: string, hint?: string, cause?: unknown): UnsupportedKernelError =>
  new UnsupportedKernelError({ where: "wasm backend", must, ...(hint === undefined ? {} : { hint }), cause });

const sharedMemory = (): WebAssembly.Memory => {
  // The maximum size of the memory only reserves addresses. Some machines refuse to reserve many addresses.
  for (let maximum = maximumPages; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: initialPages, maximum, shared: true });
    } catch (error) {
      if (maximum / 2 < initialPages * 4) throw unavailable("shared memory must be available", undefined, error);
    }
  }
};

/** Whether this thread may block. A browser's main thread may not. */
const mayBlock = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
};

const textAt = (memory: WebAssembly.Memory, address: number): string => {
  const bytes = new Uint8Array(memory.buffer);
  const end = bytes.indexOf(0, address);
  // The bytes are copied, because TextDecoder does not accept shared memory.
  return new TextDecoder().decode(bytes.slice(address, end));
};

const compiledKernels = (memory: WebAssembly.Memory, exports: WasmExports): readonly CompiledKernel[] =>
  Array.from({ length: exports.kernel_count() }, (_, index) => ({
    name: textAt(memory, exports.kernel_name(index) >>> 0),
    buffers: exports.kernel_buffers(index),
    ints: exports.kernel_ints(index),
    floats: exports.kernel_floats(index),
  }));

const needs: Readonly<Record<WasmInstructionSet, string>> = {
  simd128: "SIMD and threads",
  "relaxed-simd": "relaxed SIMD and threads",
};

/** Loads the kernels. Throws the reason if they cannot run. */
export const loadKernels = async (host: WasmHost, instructionSet: WasmInstructionSet): Promise<BufferSource> => {
  const bytes = await host.load(instructionSet);
  if (WebAssembly.validate(bytes)) return bytes;
  throw unavailable(`the runtime must have WebAssembly with ${needs[instructionSet]}`, "a newer runtime");
};

/**
 * Opens the WebAssembly backend with `threads` threads, including the calling thread.
 * @throws UnsupportedKernelError with the reason, if the backend cannot run or was built from other sources
 * @throws ConfigError for a number of threads that is not from 1 to 256
 */
export const openWasmBackend = async (
  host: WasmHost,
  threads: number,
  dtype: ProductDType = "float32",
  instructionSet: WasmInstructionSet = "simd128",
): Promise<Backend> => {
  checkThreads(threads);
  const module = await WebAssembly.compile(await loadKernels(host, instructionSet));
  const memory = sharedMemory();
  const exports = await instantiate(module, memory);
  checkCompiledKernels("wasm", compiledKernels(memory, exports));

  exports.open(threads, mayBlock() ? 1 : 0);
  const starting = Array.from({ length: threads - 1 }, async (_, index) => {
    const stackTop = exports.worker_stack() >>> 0;
    if (stackTop === 0) throw new Error("no memory is left for another thread's stack");
    return host.startWorker({ module, memory, thread: index + 1, stackTop });
  });
  const outcomes = await Promise.allSettled(starting);
  const workers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const endWorkers = async (): Promise<void> => {
    exports.close();
    await Promise.all(workers.map((worker) => worker.end()));
  };
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) {
    await endWorkers();
    const { reason } = failure as PromiseRejectedResult;
    throw new UnsupportedKernelError({
      where: "wasm backend",
      must: `${threads} threads must start`,
      got: reason instanceof Error ? reason.message : String(reason),
      hint: "fewer threads",
      cause: reason,
    });
  }
  return compiledBackend("wasm", wasmEngine(memory, exports, { instructionSet, threads, close: endWorkers }), dtype);
};

const wasmEngine = (
  memory: WebAssembly.Memory,
  exports: WasmExports,
  { instructionSet, threads, close }: Pick<Engine, "instructionSet" | "threads" | "close">,
): Engine => {
  const limits = { buffers: exports.max_buffers(), ints: exports.max_ints(), floats: exports.max_floats() };
  let broken = false;

  const view = (handle: number, byteOffset: number, host: HostData): HostData | undefined => {
    const { length } = host;
    const address = exports.at(handle, byteOffset, host.BYTES_PER_ELEMENT * length) >>> 0;
    if (address === 0) return undefined;
    // Do not cache this view, because a memory that grows gets a new buffer.
    if (host instanceof Int32Array) return new Int32Array(memory.buffer, address, length);
    if (host instanceof Uint16Array) return new Uint16Array(memory.buffer, address, length);
    return new Float32Array(memory.buffer, address, length);
  };

  // Shared memory is never detached, so this view stays valid.
  const packet = new Float64Array(memory.buffer, exports.packet() >>> 0, packetLayout(limits).length);
  const guarded = (work: () => number): number => {
    if (broken) throw new Error("wasm backend: a kernel failed earlier, so the memory of the backend may be damaged");
    try {
      const outcome = work();
      if (exports.failed() === 0) return outcome;
    } catch (error) {
      broken = true;
      throw error;
    }
    broken = true;
    throw new Error("wasm backend: a kernel failed in a worker");
  };
  const run = (): number => guarded(exports.run);

  /** The branches of the last call, in the kernels' memory. */
  let branches:
    | { readonly packets: number; readonly ends: number; readonly bytes: number; readonly count: number }
    | undefined;
  const branchesFor = (bytes: number, count: number): typeof branches => {
    if (branches !== undefined && bytes <= branches.bytes && count <= branches.count) return branches;
    if (branches !== undefined) for (const handle of [branches.packets, branches.ends]) exports.release(handle);
    branches = undefined;
    const packets = exports.allocate(bytes);
    const ends = exports.allocate(count * Int32Array.BYTES_PER_ELEMENT);
    if (packets >= 0 && ends >= 0) branches = { packets, ends, bytes, count };
    else for (const handle of [packets, ends]) if (handle >= 0) exports.release(handle);
    return branches;
  };

  return {
    instructionSet,
    threads,
    limits,
    narrow: false,
    tiles: false,
    packet,
    allocate: exports.allocate,
    release: exports.release,
    write(handle, byteOffset, data) {
      const target = view(handle, byteOffset, data);
      target?.set(data);
      return target !== undefined;
    },
    read(handle, byteOffset, into) {
      const source = view(handle, byteOffset, into);
      if (source !== undefined) into.set(source);
      return source !== undefined;
    },
    run,
    runAll(packets) {
      for (let at = 0; at < packets.length; at += packet.length) {
        packet.set(packets.subarray(at, at + packet.length));
        const outcome = run();
        if (outcome !== 0) return outcome;
      }
      return 0;
    },
    runBeside(packets, ends, ofEach) {
      const place = branchesFor(packets.byteLength, ends.length);
      if (place === undefined) return outOfMemory;
      const address = exports.at(place.packets, 0, packets.byteLength) >>> 0;
      new Float64Array(memory.buffer, address, packets.length).set(packets);
      view(place.ends, 0, ends)?.set(ends);
      return guarded(() =>
        exports.run_beside(place.packets, packets.length / packet.length, place.ends, ends.length, ofEach),
      );
    },
    close,
  };
};

/** Initial size of the memory in bytes. Tests use it to make the memory grow. */
export const initialMemoryBytes = initialPages * pageBytes;
