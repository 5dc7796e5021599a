/**
 * The compiled part of a backend: the interface that native code or WebAssembly must provide, and checks of this
 * interface.
 */
import { ConfigError, UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { HostData } from "../../../core/tensors/dtype.ts";
import { show } from "../../../core/text/show.ts";
import type { BackendName } from "../../backend.ts";
import { kernelPlans } from "../../calls/check.ts";
import { kernelNames } from "../../kernels/kernels.ts";

/** One kernel of a compiled table: the kernel's name, and its number of buffers, integers and reals. */
export interface CompiledKernel {
  readonly name: string;
  readonly buffers: number;
  readonly ints: number;
  readonly floats: number;
}

/** Maximum number of arguments of each type in a packet. */
export type PacketLimits = Omit<CompiledKernel, "name">;

/** The compiled part of a backend. A handle identifies a block of memory. A packet describes a call. */
export interface Engine {
  readonly instructionSet: string;
  readonly threads: number;
  readonly limits: PacketLimits;
  /** Whether the kernels store activations as bfloat16 when a backend is opened for bfloat16. */
  readonly narrow: boolean;
  /** Whether products use tiles. */
  readonly tiles: boolean;
  /** The packet. The caller fills it before each `run`. */
  readonly packet: Float64Array;
  /** Returns a handle, or -1 if no memory is left. @param gradually as in `Backend.alloc`. */
  allocate(bytes: number, gradually?: boolean): number;
  release(handle: number): void;
  /** These functions return false if the handle is not live, or if the range is outside the memory of the handle. */
  write(handle: number, byteOffset: number, data: HostData): boolean;
  read(handle: number, byteOffset: number, into: HostData): boolean;
  /** A view of a live handle's memory, from the start of the memory. Undefined if the range is outside this memory. */
  view?(handle: number, bytes: number): ArrayBuffer | undefined;
  /**
   * Runs the packet. Returns 0 if the kernel ran. Returns -1 for an unknown kernel, and -2 if memory for scratch is
   * lacking. Returns 1 + i if buffer i is not live or too short. If the result is not 0, nothing was touched.
   */
  run(): number;
  /** Runs consecutive packets until one is refused; returns the result of the last packet run. */
  runAll(packets: Float64Array): number;
  /**
   * Runs branches of packets in parallel, each on `threads` threads. Branch i ends before packet ends[i]. Returns 0, or
   * the result of a packet that was refused.
   */
  runBeside(packets: Float64Array, ends: Int32Array, threads: number): number;
  close(): Promise<void>;
}

export const maxThreads = 256;

/** @throws ConfigError if `threads` is not a whole number from 1 to 256 */
export const checkThreads = (threads: number): void => {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maxThreads) return;
  throw new ConfigError({
    where: "threads",
    must: `must be a whole number from 1 to ${maxThreads}`,
    got: show(threads),
  });
};

/**
 * Compares a compiled table with kernels.ts, so that foretoken never calls a library that was built from other sources.
 * @throws UnsupportedKernelError naming the first difference
 */
export const checkCompiledKernels = (name: BackendName, compiled: readonly CompiledKernel[]): void => {
  const describe = (k: CompiledKernel | undefined): string =>
    k === undefined ? "none" : `${k.name} (${k.buffers} buffers, ${k.ints} integers, ${k.floats} reals)`;
  const declared = kernelNames.map((kernel): CompiledKernel => {
    const { buffers, ints, floats } = kernelPlans[kernel];
    return { name: kernel, buffers: buffers.length, ints: ints.length, floats: floats.length };
  });
  for (let i = 0; i < Math.max(declared.length, compiled.length); i++) {
    const must = describe(declared[i]);
    const got = describe(compiled[i]);
    if (must === got) continue;
    throw new UnsupportedKernelError({
      where: `${name} backend`,
      must: `kernel ${i} must be ${must}`,
      got: `${got}, built from other sources`,
      hint: "npm run build",
    });
  }
};
