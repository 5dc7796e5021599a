/** Calls of kernels that a backend is checked with: small, and past the edges of vectors and blocks. */
import type { KernelName, KernelTable } from "../../backend/kernels/kernels.ts";
import { type RandomStream, randomKey, randomStream } from "../../core/random.ts";

type Numbers<K extends KernelName> = Readonly<
  Record<KernelTable[K]["ints"][number] | KernelTable[K]["floats"][number], number>
>;

/** Contents of a buffer of a call; null: the call is without the buffer. */
export type Given = Float32Array | Int32Array | null;

/** One call of a kernel. */
export interface KernelCase {
  readonly kernel: KernelName;
  /** Integers and reals. */
  readonly numbers: Readonly<Record<string, number>>;
  /**
   * Contents of buffers. Absent: normal numbers in a buffer of reals, NaN in one that is only written, and no buffer where the
   * call can be without and it holds integers.
   */
  readonly given: Readonly<Record<string, Given>>;
  /** Terms of the longest sum that an element of a result is made of: rounding grows with its root. */
  readonly terms: number;
}

/** A call of kernel K, with the names of its own buffers and numbers. */
export const kernelCase = <K extends KernelName>(
  kernel: K,
  numbers: Numbers<K>,
  terms: number,
  given: { readonly [N in keyof KernelTable[K]["buffers"]]?: Given } = {},
): KernelCase => ({ kernel, numbers, given: given as Readonly<Record<string, Given>>, terms });

/** Random numbers, the same on every machine. */
export const noise = (seed: number) => {
  const stream: RandomStream = randomStream(randomKey(seed, "init"));
  return {
    normals: (length: number): Float32Array => Float32Array.from({ length }, () => stream.normal()),
    positives: (length: number): Float32Array => Float32Array.from({ length }, () => 0.5 + stream.uniform()),
    integers: (length: number, bound: number): Int32Array => Int32Array.from({ length }, () => stream.integer(bound)),
  };
};
