import type { RealArray } from "../../core/dtype.ts";
import type { KernelArgs, KernelName, KernelTable } from "../kernels.ts";

type Element<Spec> = Spec extends { element: "index" } ? Int32Array : RealArray;

type HostBuffers<B> = {
  readonly [N in keyof B]: B[N] extends { optional: true } ? Element<B[N]> | null : Element<B[N]>;
};

/** The arguments of kernel K with each buffer as an array that begins at its offset and ends with its last element. */
export type HostArgs<K extends KernelName> = HostBuffers<KernelTable[K]["buffers"]> &
  Omit<KernelArgs<K, never>, keyof KernelTable[K]["buffers"]>;

/**
 * Implementations of the kernels `Names`. Each computes in double and rounds once, when it stores; none allocates per
 * element. Formulas and aliasing are those of ../kernels.ts.
 */
export type HostKernels<Names extends KernelName> = { readonly [K in Names]: (args: HostArgs<K>) => void };
