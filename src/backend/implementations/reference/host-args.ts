import type { RealArray } from "../../../core/tensors/dtype.ts";
import type { KernelArgs, KernelName, KernelTable } from "../../kernels/kernels.ts";

type Element<Spec> = Spec extends { element: "index" | "bits" } ? Int32Array : RealArray;

type HostBuffers<B> = {
  readonly [N in keyof B]: B[N] extends { optional: true } ? Element<B[N]> | null : Element<B[N]>;
};

/** Prepares `values` as operands of a product. The result is `values` or a rounded copy. */
export type Operand = (values: RealArray) => RealArray;

/** Leaves operands unchanged. */
export const asGiven: Operand = (values) => values;

/**
 * Rounds each value to float32, then to bfloat16, which is the upper half of a float32. Rounding is to nearest, ties to
 * even (IEEE 754). NaN stays NaN.
 */
export const roundedToBfloat16: Operand = (values) => {
  const singles = Float32Array.from(values);
  const bits = new Uint32Array(singles.buffer);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i] as number;
    const notANumber = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = notANumber ? word : (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  }
  return singles;
};

/** Kernels that compute products. The dtype of a backend changes only these kernels. */
export const multiplyingKernels = [
  "linearForward",
  "linearGeluForward",
  "linearDropoutForward",
  "linearBackwardInput",
  "linearDropoutBackwardInput",
  "linearBackwardWeight",
  "attentionForward",
  "attentionBackward",
] as const satisfies readonly KernelName[];

type MultiplyingKernel = (typeof multiplyingKernels)[number];

/** Arguments of kernel K. Each buffer is an array that begins at its offset and ends at its last element. */
export type HostArgs<K extends KernelName> = HostBuffers<KernelTable[K]["buffers"]> &
  Omit<KernelArgs<K, never>, keyof KernelTable[K]["buffers"]> &
  (K extends MultiplyingKernel ? { readonly operand: Operand } : unknown);

/** to[i] += from[i] */
export const addTo = (to: RealArray, from: RealArray): void => {
  for (let i = 0; i < from.length; i++) to[i] = (to[i] as number) + (from[i] as number);
};

/**
 * Implementations of the kernels `Names`. Each kernel computes in double precision and rounds once, when it stores a
 * result. No kernel allocates memory for each element. Formulas and rules about shared memory:
 * ../../kernels/kernels.ts.
 */
export type HostKernels<Names extends KernelName> = { readonly [K in Names]: (args: HostArgs<K>) => void };
