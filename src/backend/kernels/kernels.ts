/**
 * The kernel table: every computation that a backend can run. Kernels are declared only in this folder. A declaration
 * contains the kernel's formula, its arguments, the lengths of its buffers and the limits of sizes. It also lists the
 * buffers that may share memory, and the cost of a call. The following parts come from the table:
 * - the TypeScript types of the arguments (below);
 * - the checks before any backend is called (../calls/check.ts);
 * - the cost in profiles and benchmarks (../calls/cost.ts);
 * - the C++ structures of the arguments and the table of compiled kernels (native/generated/kernels.h). When a compiled
 *   backend is loaded, its table is compared with this table.
 * Shape letters: B batch, T time, C channels (nEmbd), H heads, D headDim, V vocabulary; M×K·(N×K)ᵀ for products. All
 * arrays are dense and row-major. `real` is float32 (float64 on the reference backend), `index` is int32. An "out"
 * buffer is overwritten. An "inout" buffer is read and updated. An optional buffer may be null.
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

/** Arguments of kernel K, with buffers of type `Handle`. */
export type KernelArgs<K extends KernelName, Handle> = BufferArgs<Buffers<K>, Handle> &
  Numbers<KernelTable[K]["ints"][number]> &
  Numbers<KernelTable[K]["floats"][number]>;
