/** Kernels of linear layers in the kernel table (kernels.ts): products with epilogues, and their gradients. */

import {
  activation,
  activationOutput,
  activationUpdate,
  bits,
  bitsOutput,
  input,
  kernel,
  maybeActivation,
  maybeActivationOutput,
  maybeInput,
  maybeUpdate,
  output,
  update,
} from "./signature.ts";
import { dropoutKey, product, wordsOf } from "./sizes.ts";

export const linearKernels = {
  /**
   * torch.nn.functional.linear with a residual connection. Row i of y depends only on row i of x and has the same bits
   * for every M.
   */
  linearForward: kernel({
    purpose: "y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N]",
    buffers: { x: activation, w: activation, bias: maybeInput, addend: maybeInput, y: activationOutput },
    ints: ["m", "n", "k"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, addend: m * n, y: m * n }),
    cost: { flops: product },
  }),

  /**
   * h is not stored. `tanh` has the same meaning as in geluForward. Row i of y depends only on row i of x and has the
   * same bits for every M.
   */
  linearGeluForward: kernel({
    purpose: "y = gelu(h), and slope = gelu′(h) if slope is given, with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N]",
    buffers: { x: activation, w: activation, bias: maybeInput, y: activationOutput, slope: maybeActivationOutput },
    ints: ["m", "n", "k", "tanh"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, y: m * n, slope: m * n }),
    oneType: ["y", "slope"],
    cost: { flops: product },
  }),

  /**
   * Computes a branch that ends with dropout, and adds the residual connection. The kernel saves the mask as bits: bit
   * i mod 32 of word ⌊i/32⌋ is keep(i). Bits past the last element are 0.
   * keep(i) ⇔ word(i) ≥ round(p · 2³²). word(i) comes from Threefry-4x32-13 (core/random.ts) with the key (key0, key1,
   * key2, key3). Elements are grouped in blocks of 64. With e = i mod 64, element i uses the counter (⌊i/64⌋·16 + e mod
   * 16, row, site, 0) and takes word ⌊e/16⌋ of the four resulting words. In this kernel, row = 0, and i is an index in
   * the whole array. In attention, row = (b·H + h)·queries + query and i is the key's position.
   */
  linearDropoutForward: kernel({
    purpose: "y[i] = addend[i] + h[i] · keep(i) / (1 − p), with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N]",
    buffers: { x: activation, w: activation, bias: maybeInput, addend: input, kept: bitsOutput, y: output },
    ints: ["m", "n", "k", ...dropoutKey],
    words: dropoutKey,
    floats: ["p"],
    limits: [{ kind: "share", real: "p" }],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, addend: m * n, kept: wordsOf(m * n), y: m * n }),
    cost: { flops: product },
  }),

  /** If no factor is given and `add` is 1, the product is added to dx. */
  linearBackwardInput: kernel({
    purpose: "dx[M, K] = dy[M, N] · w[N, K], elementwise times factor[M, K] if factor is given",
    buffers: { dy: activation, w: activation, factor: maybeActivation, dx: activationUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, w: n * k, factor: m * k, dx: m * k }),
    // A call with a factor must not set `add`, because the factor multiplies only the product, not the old dx.
    limits: [
      { kind: "flag", flag: "add" },
      { kind: "zero", size: "add", given: "factor", where: "if there is a factor" },
    ],
    cost: { flops: product, readToAdd: ["dx"] },
  }),

  /** linearBackwardInput for a branch that ends with dropout. The dropout mask is the mask of linearDropoutForward. */
  linearDropoutBackwardInput: kernel({
    purpose:
      "dBranch[i] = dy[i] · kept(i) / (1 − p); dx[M, K] = dBranch[M, N] · w[N, K], times factor if factor is given",
    buffers: {
      dy: input,
      kept: bits,
      w: activation,
      factor: maybeActivation,
      dBranch: activationOutput,
      dx: activationOutput,
    },
    ints: ["m", "n", "k"],
    floats: ["p"],
    limits: [{ kind: "share", real: "p" }],
    lengths: ({ m, n, k }) => ({
      dy: m * n,
      kept: wordsOf(m * n),
      w: n * k,
      factor: m * k,
      dBranch: m * n,
      dx: m * k,
    }),
    cost: { flops: product },
  }),

  /**
   * With `add` = 1 the product is added to dw. The sum over M is split into parts. The parts depend only on sizes, not
   * on the number of threads.
   */
  linearBackwardWeight: kernel({
    purpose: "dw[N, K] = dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy",
    buffers: { dy: activation, x: activation, dw: update, dBias: maybeUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, x: m * k, dw: n * k, dBias: n }),
    cost: { flops: product, readToAdd: ["dw"] },
  }),
} as const;
