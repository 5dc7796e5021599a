/** The compiled side of a backend: the interface of a binding, and checks of it. */
import { ConfigError, UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { HostData } from "../../../core/tensors/dtype.ts";
import { show } from "../../../core/text/show.ts";
import type { BackendName } from "../../backend.ts";
import { kernelPlans } from "../../calls/check.ts";
import { kernelNames } from "../../kernels/kernels.ts";

/** One kernel of a compiled table: its name, and its number of arguments of each kind. */
export interface CompiledKernel {
  readonly name: string;
  readonly buffers: number;
  readonly ints: number;
  readonly floats: number;
}

/** Maximum number of arguments of each kind in a packet. */
export type PacketLimits = Omit<CompiledKernel, "name">;

/** The compiled side of a backend. It identifies memory by handle and a call by its packet. */
export interface Engine {
  readonly instructionSet: string;
  readonly threads: number;
  readonly limits: PacketLimits;
  /** Whether its kernels store activations as bfloat16, in a backend opened for bfloat16. */
  readonly narrow: boolean;
  /** Whether products use tiles. */
  readonly tiles: boolean;
  /** The packet; the caller fills it before each `run`. */
  readonly packet: Float64Array;
  /** A handle, or -1 if no memory is left. */
  allocate(bytes: number): number;
  release(handle: number): void;
  /** These return false if the handle is not live or the range is outside its memory. */
  write(handle: number, byteOffset: number, data: HostData): boolean;
  read(handle: number, byteOffset: number, into: HostData): boolean;
  /** View of a live handle's memory, from its start; undefined if the range is outside. */
  view?(handle: number, bytes: number): ArrayBuffer | undefined;
  /**
   * Runs the packet. Returns 0 if done; -1: unknown kernel; -2: no memory for scratch; 1 + i: buffer i is not live or
   * too short. If the result is not 0, nothing was touched.
   */
  run(): number;
  /** Runs consecutive packets until one is refused; returns the result of the last packet run. */
  runAll(packets: Float64Array): number;
  /**
   * Runs branches of packets in parallel, each on `threads` threads. Branch i ends before packet ends[i]. Returns 0, or
   * the result of a refused packet.
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
 * Compares a compiled table with kernels.ts, so that a library built from other sources is never called.
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
