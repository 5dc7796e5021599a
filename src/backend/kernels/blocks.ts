/**
 * Kernels for quantized weights in blocks (block-forms.ts), a part of the kernel table (kernels.ts). `form` is the
 * index of the block format.
 */
import { blockForms, fileWords, panelWords } from "./block-forms.ts";
import { activation, activationOutput, bits, bitsOutput, kernel, maybeIndices, maybeInput } from "./signature.ts";
import { product } from "./sizes.ts";

const limits = [
  { kind: "below", size: "form", end: blockForms.length },
  { kind: "whole", size: "k", of: 32 },
] as const;

export const blockKernels = {
  /** Packs rows from the file's format into panels. Unused rows of the last panel become zero. */
  blocksPack: kernel({
    purpose: "Copies the rows of x[rows, k] into panels y; both are in blocks",
    buffers: { x: bits, y: bitsOutput },
    ints: ["rows", "k", "form"],
    floats: [],
    lengths: ({ rows, k, form }) => ({ x: fileWords(form, rows, k), y: panelWords(form, rows, k) }),
    limits,
  }),

  /**
   * Each value is rounded to float32 at most once. Without `ids`, the rows from `first` on are read. The caller checks
   * the ids; kernels clamp ids that are out of range.
   */
  blocksRows: kernel({
    purpose: "y[r, :] = w[ids[r], :], or w[first + r, :] without ids; w[n, k] is in blocks",
    buffers: { w: bits, ids: maybeIndices, y: activationOutput },
    ints: ["rows", "n", "k", "first", "form"],
    floats: [],
    lengths: ({ rows, n, k, form }) => ({ w: panelWords(form, n, k), ids: rows, y: rows * k }),
    limits: [...limits, { kind: "positive", size: "n" }],
    cost: { touched: ({ rows, k, form }) => ({ w: panelWords(form, rows, k) }) },
  }),

  /**
   * The kernel rounds rows of x to 8 bits in blocks of 32: q = round(x · (127 / max |x|)), ties to even, and x ≈ q ·
   * (max |x| / 127). Sums within a block are exact integers. Row i of y depends only on row i of x and has the same
   * bits for every M. Rows of y and of the addend are `yStride` elements apart.
   */
  blocksLinearForward: kernel({
    purpose: "y[M, N] = round8(x[M, K]) · w[N, K]ᵀ + bias[N] + addend[M, N]; w is in blocks",
    buffers: { x: activation, w: bits, bias: maybeInput, addend: maybeInput, y: activationOutput },
    ints: ["m", "n", "k", "yStride", "form"],
    floats: [],
    lengths: ({ m, n, k, yStride, form }) => {
      const last = m === 0 ? 0 : (m - 1) * yStride + n;
      return { x: m * k, w: panelWords(form, n, k), bias: n, addend: last, y: last };
    },
    limits: [...limits, { kind: "most", size: "n", most: "yStride" }],
    cost: { flops: product },
  }),
} as const;
