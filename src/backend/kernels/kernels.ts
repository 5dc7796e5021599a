/**
 * The kernels: every computation a backend can be asked for. This table, with its parts beside it, is the one place where a
 * kernel is declared: what it computes, its arguments, how long each buffer must be, what must hold of sizes, which buffers
 * may share memory, and what a call costs. From it follow:
 *
 * - the TypeScript types of its arguments (below);
 * - the checks before any backend is called (../calls/check.ts);
 * - the cost that profiles and benchmarks show (../calls/cost.ts);
 * - the C++ structures of its arguments and the table of compiled kernels (native/generated/kernels.h), which is compared
 *   with this one when a compiled backend is loaded.
 *
 * Shape letters: B batch, T time, C channels (nEmbd), H heads, D headDim, V vocabulary; M×K·(N×K)ᵀ for products.
 * All arrays are dense and row-major. `real` is float32 (float64 on the reference backend), `index` is int32.
 * "out" is overwritten, "inout" is read and updated; an optional buffer may be null.
 */

import { attentionKernels } from "./attention.ts";
import { blockKernels } from "./blocks.ts";
import { elementwiseKernels } from "./elementwise.ts";
import { linearKernels } from "./linear.ts";
import { rowKernels } from "./rows.ts";
import type { Numbers } from "./signature.ts";
import { trainingKernels } from "./training.ts";

export const kernels = {
  ...elementwiseKernels,
  ...rowKernels,
  ...linearKernels,
  ...attentionKernels,
  ...trainingKernels,
  ...blockKernels,
} as const;

export type KernelTable = typeof kernels;
export type KernelName = keyof KernelTable;
export const kernelNames = Object.keys(kernels) as readonly KernelName[];

type Buffers<K extends KernelName> = KernelTable[K]["buffers"];
type BufferArgs<B, Handle> = {
  readonly [N in keyof B]: B[N] extends { optional: true } ? Handle | null : Handle;
};

/** The arguments of kernel K, with buffers given as `Handle`. */
export type KernelArgs<K extends KernelName, Handle> = BufferArgs<Buffers<K>, Handle> &
  Numbers<KernelTable[K]["ints"][number]> &
  Numbers<KernelTable[K]["floats"][number]>;
