/**
 * Scratch memory that a kernel reserves in the thread pool (native/parallel.h). The pool keeps the largest scratch
 * memory that any call has needed. The sizes here follow native/. The sizes are slightly too large, because the actual
 * sizes differ by instruction set.
 */
import type { Capabilities, View } from "../backend.ts";
import type { KernelArgs, KernelName, KernelTable } from "../kernels/kernels.ts";
import type { Numbers } from "../kernels/signature.ts";

/** Bytes. */
export interface KernelScratch {
  /** Bytes per thread. */
  readonly perThread: number;
  /** Bytes shared by all threads. */
  readonly shared: number;
}

const none: KernelScratch = { perThread: 0, shared: 0 };
const floatBytes = 4;
const up = (count: number, to: number): number => Math.ceil(count / to) * to;

type Tiles = Capabilities["tiles"];

/**
 * native/gemm/amx/many_rows_whole.h and few_rows.h: packed float32 takes 6 bytes per value. All threads share both
 * packed factors. If k is split, they also share the partial sums.
 */
const wholeProduct = (rows: number, columns: number, k: number): KernelScratch => {
  const few = rows <= 512;
  const depth = few ? up(k, 32) : Math.min(up(k, 32), 1024);
  const lines = [few ? 0 : Math.min(up(columns, 32), 4096), Math.min(up(rows, 32), 2048)] as const;
  const sums = k > depth ? lines[0] * lines[1] : 0;
  return {
    perThread: few ? floatBytes * 3 * 2 ** 17 : 0,
    shared: 6 * depth * (lines[0] + lines[1]) + floatBytes * sums,
  };
};

/**
 * native/gemm/vector_product.h: all threads share a packed chunk of one factor; each thread packs a tile of the other
 * factor.
 */
const product = ({ m, n, k }: Numbers<"m" | "n" | "k">, tiles: Tiles): KernelScratch => {
  if (tiles === "float32") return wholeProduct(m, n, k);
  const depth = Math.min(k, 2048);
  const width = Math.min(up(n, 64), up(2 ** 20 / depth, 64));
  return { perThread: floatBytes * 2 ** 16, shared: floatBytes * depth * width };
};

/** Scratch of dx[M, K] = dy[M, N] · w[N, K]. */
const inputGradient = (sizes: Numbers<"m" | "n" | "k">, tiles: Tiles): KernelScratch =>
  tiles === "float32" ? wholeProduct(sizes.m, sizes.k, sizes.n) : product(sizes, tiles);

/** Scratch of dw[N, K] = dy[M, N]ᵀ · x[M, K]. The product for dw always uses the method for many rows. */
const weightGradient = (sizes: Numbers<"m" | "n" | "k">, tiles: Tiles): KernelScratch =>
  tiles === "float32" ? wholeProduct(Math.max(sizes.n, 513), sizes.k, sizes.m) : product(sizes, tiles);

/** native/kernels/rows.h: partial sums of the columns, one row of sums for each chunk of rows. */
const columnSums = (rows: number, width: number): KernelScratch => {
  const chunkRows = rows > 64 * 256 ? Math.ceil(rows / 256) : 64;
  return { perThread: 0, shared: 2 * floatBytes * Math.ceil(rows / chunkRows) * width };
};

/** native/kernels/reduce.h: one double-precision sum per 4,096 elements. */
const sums = ({ n }: Numbers<"n">): KernelScratch => ({ perThread: 0, shared: 8 * Math.ceil(n / 4096) });

/** Like `sums`, plus one sum for the incomplete chunk at the end of each range. */
const sumsOfRanges = ({ n, count }: Numbers<"n" | "count">): KernelScratch => ({
  perThread: 0,
  shared: 8 * (Math.ceil(n / 4096) + count),
});

const block = 128;
const group = 32;

/** native/kernels/attention/forward.h, and few_queries.h if many heads share few keys. */
const attention = ({ headDim, heads, keyHeads }: Numbers<"headDim" | "heads" | "keyHeads">): KernelScratch => ({
  perThread: floatBytes * (block * (4 * up(headDim, 32) + group + 2) + (8 * heads * up(headDim, 32)) / keyHeads),
  shared: 0,
});

/**
 * native/kernels/attention/backward.h and amx_backward.h. amx_backward.h needs more memory, because it keeps all
 * queries of a head.
 */
const attentionBackward = (
  { headDim, queries, heads, keyHeads }: Numbers<"headDim" | "queries" | "heads" | "keyHeads">,
  tiles: Tiles,
): KernelScratch => {
  const width = up(headDim, 32);
  const all = up(queries, group);
  // Several heads share keys and values. The gradients of keys and values stay in scratch until all these heads are
  // done.
  const shared = heads > keyHeads ? 2 * up(queries, block) * width : 0;
  const floats =
    tiles === "bfloat16"
      ? 3.5 * width * all + 64 * all + 3 * 64 * width + shared
      : (5 * block + 2 * group + all) * width + (5 * block + 64) * group + 2 * all + shared;
  return { perThread: floatBytes * floats, shared: 0 };
};

type Scratch = {
  readonly [K in KernelName]?: (sizes: Numbers<KernelTable[K]["ints"][number]>, tiles: Tiles) => KernelScratch;
};

/** Kernels without an entry need no scratch. */
const scratchOf: Scratch = {
  sum: sums,
  sumOfSquares: sums,
  addSquares: sumsOfRanges,
  linearForward: product,
  linearGeluForward: product,
  linearDropoutForward: product,
  linearBackwardInput: inputGradient,
  linearDropoutBackwardInput: inputGradient,
  linearBackwardWeight: weightGradient,
  layerNormBackward: ({ rows, channels }) => columnSums(rows, channels),
  rmsNormBackward: ({ rows, channels }) => columnSums(rows, channels),
  rotaryBackward: ({ rows, heads, keyHeads, headDim, together }) =>
    columnSums(rows, (together === 1 ? Math.max(heads, keyHeads) : 1) * headDim),
  attentionForward: attention,
  attentionBackward,
};

/** @param tiles as in `Capabilities`. */
export const kernelScratch = <K extends KernelName>(
  kernel: K,
  args: KernelArgs<K, View>,
  tiles: Tiles,
): KernelScratch => {
  const scratch = scratchOf[kernel] as ((sizes: KernelArgs<K, View>, tiles: Tiles) => KernelScratch) | undefined;
  return scratch?.(args, tiles) ?? none;
};
