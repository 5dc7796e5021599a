/**
 * Kernel calls for checks. The sizes are small, but many are larger than a vector or a block. So the ends of vectors
 * and blocks are also checked.
 */
import type { KernelName, KernelTable } from "../../backend/kernels/kernels.ts";
import { type RandomStream, randomKey, randomStream } from "../../core/random.ts";

type Numbers<K extends KernelName> = Readonly<
  Record<KernelTable[K]["ints"][number] | KernelTable[K]["floats"][number], number>
>;

/** Contents of a buffer, or null if the call has no such buffer. */
export type Given = Float32Array | Int32Array | null;

/** A call of a kernel. */
export interface KernelCase {
  readonly kernel: KernelName;
  /** Integer and real arguments. */
  readonly numbers: Readonly<Record<string, number>>;
  /**
   * Contents of buffers. By default, buffers of real numbers contain normally distributed random numbers, and output
   * buffers contain NaN. Optional buffers of integers are left out.
   */
  readonly given: Readonly<Record<string, Given>>;
  /**
   * Number of terms in the longest sum of a result element. The rounding error grows with the square root of this
   * number.
   */
  readonly terms: number;
}

/** Creates a call of kernel K, with typed names of its buffers and numbers. */
export const kernelCase = <K extends KernelName>(
  kernel: K,
  numbers: Numbers<K>,
  terms: number,
  given: { readonly [N in keyof KernelTable[K]["buffers"]]?: Given } = {},
): KernelCase => ({ kernel, numbers, given: given as Readonly<Record<string, Given>>, terms });

/** Random numbers that are the same on every machine. */
export const noise = (seed: number) => {
  const stream: RandomStream = randomStream(randomKey(seed, "init"));
  return {
    normals: (length: number): Float32Array => Float32Array.from({ length }, () => stream.normal()),
    positives: (length: number): Float32Array => Float32Array.from({ length }, () => 0.5 + stream.uniform()),
    integers: (length: number, bound: number): Int32Array => Int32Array.from({ length }, () => stream.integer(bound)),
  };
};
