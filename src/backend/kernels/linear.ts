/** The linear layer's part of the kernel table (kernels.ts): products, with what ends them, and their gradients. */

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
   * torch.nn.functional.linear, and a residual connection. Row i of y depends on row i of x alone and has the same bits for
   * every M.
   */
  linearForward: kernel({
    purpose: "y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N]",
    buffers: { x: activation, w: activation, bias: maybeInput, addend: maybeInput, y: activationOutput },
    ints: ["m", "n", "k"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, addend: m * n, y: m * n }),
    cost: { flops: product },
  }),

  /** h is kept nowhere. `tanh` as for geluForward. Row i depends on row i of x alone and has the same bits for every M. */
  linearGeluForward: kernel({
    purpose: "y = gelu(h) and, where asked for, slope = gelu′(h), with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N]",
    buffers: { x: activation, w: activation, bias: maybeInput, y: activationOutput, slope: maybeActivationOutput },
    ints: ["m", "n", "k", "tanh"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, y: m * n, slope: m * n }),
    oneType: ["y", "slope"],
    cost: { flops: product },
  }),

  /**
   * A branch that ends with dropout, and its residual connection. Keeps the mask as bits: bit i mod 32 of word ⌊i/32⌋ is keep(i), 0 past the last element.
   *
   * keep(i) ⇔ word(i) ≥ round(p · 2³²), where word(i) comes from Threefry-4x32-13 (core/random.ts) under the key
   * (key0, key1, key2, key3). Elements go in blocks of 64: with e = i mod 64, element i uses the counter
   * (⌊i/64⌋·16 + e mod 16, row, site, 0) and of its four words number ⌊e/16⌋. Here row = 0 and i counts the whole
   * array; in attention, row = (b·H + h)·queries + query and i is the key's position.
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

  /** Without a factor, and with `add` = 1, that is added to dx. */
  linearBackwardInput: kernel({
    purpose: "dx[M, K] = dy[M, N] · w[N, K], elementwise times factor[M, K] where there is one",
    buffers: { dy: activation, w: activation, factor: maybeActivation, dx: activationUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, w: n * k, factor: m * k, dx: m * k }),
    // What a factor multiplies is not what it is added to.
    limits: [
      { kind: "flag", flag: "add" },
      { kind: "zero", size: "add", given: "factor", where: "where there is a factor" },
    ],
    cost: { flops: product, readToAdd: ["dx"] },
  }),

  /** linearBackwardInput at the end of a branch with dropout, with the mask of linearDropoutForward. */
  linearDropoutBackwardInput: kernel({
    purpose:
      "dBranch[i] = dy[i] · kept(i) / (1 − p); dx[M, K] = dBranch[M, N] · w[N, K], times factor where there is one",
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

  /** With `add` = 1 the product is added to dw. Where the sum over M is cut follows from the sizes alone, not from threads. */
  linearBackwardWeight: kernel({
    purpose: "dw[N, K] = dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy",
    buffers: { dy: activation, x: activation, dw: update, dBias: maybeUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, x: m * k, dw: n * k, dBias: n }),
    cost: { flops: product, readToAdd: ["dw"] },
  }),
} as const;
