/** Attention's part of the kernel table (kernels.ts). */

import {
  activation,
  activationOutput,
  activationUpdate,
  input,
  kernel,
  maybeBits,
  maybeBitsUpdate,
  output,
} from "./signature.ts";
import { attended, attentionLengths, attentionSizes, dropoutKey, keysOf, queriesOf } from "./sizes.ts";

export const attentionKernels = {
  /**
   * Attention (Vaswani et al. 2017), per head, over the keys that a query sees:
   * `causal` = 1: those ≤ start + query; 0: all start + queries.
   * q is [B, queries, H·D], k and v are [B, start + queries, H·D], each with its own row and batch strides (so that
   * they may be parts of one [B, T, 3C] array or of a cache); out is dense [B, queries, H·D].
   * logSumExp [B, H, queries] keeps what backward needs. `p` = 0 means no dropout. With it, `kept` keeps the mask as bits,
   * [B, H, ⌈keys/32⌉, queries]: bit j of word w is keep(32·w + j), as linearDropoutForward has it. Of a query
   * those words are written that are of blocks of 64 keys of which it sees any. Where it is given, start is 0.
   * A causal query's bits do not depend on `queries`, only on its absolute position and the values it sees.
   */
  attentionForward: kernel({
    purpose: "out = dropout(softmax(q·kᵀ·scale)) · v",
    buffers: {
      q: activation,
      k: activation,
      v: activation,
      out: activationOutput,
      logSumExp: output,
      kept: maybeBitsUpdate,
    },
    ints: [...attentionSizes, ...dropoutKey, "causal"],
    words: dropoutKey,
    floats: ["scale", "p"],
    lengths: (sizes) => {
      const { queries, keys, out, stats, kept } = attentionLengths(sizes);
      return { q: queries, k: keys, v: keys, out, logSumExp: stats, kept };
    },
    limits: [{ kind: "zero", size: "start", given: "kept", where: "where the mask is kept" }],
    oneType: ["q", "k", "v", "out"],
    cost: {
      // Scores and mixing.
      flops: (sizes) => 4 * attended(sizes),
      touched: (s) => ({ q: queriesOf(s), k: keysOf(s), v: keysOf(s) }),
      unread: ["kept"],
    },
  }),

  /**
   * dq, dk, dv have the strides of q, k and v, and may be parts of one array as these. start must be 0. Probabilities are
   * recomputed, and without `kept` of the forward call the dropout mask is drawn again.
   */
  attentionBackward: kernel({
    purpose: "Gradients of attentionForward: dq, dk and dv are overwritten",
    buffers: {
      dOut: activation,
      q: activation,
      k: activation,
      v: activation,
      out: activation,
      logSumExp: input,
      kept: maybeBits,
      dq: activationUpdate,
      dk: activationUpdate,
      dv: activationUpdate,
    },
    ints: [...attentionSizes, ...dropoutKey, "causal"],
    words: dropoutKey,
    floats: ["scale", "p"],
    lengths: (sizes) => {
      const { queries, keys, out, stats, kept } = attentionLengths(sizes);
      return {
        dOut: out,
        q: queries,
        k: keys,
        v: keys,
        out,
        logSumExp: stats,
        kept,
        dq: queries,
        dk: keys,
        dv: keys,
      };
    },
    limits: [{ kind: "zero", size: "start" }],
    oneType: ["q", "k", "v", "out", "dOut", "dq", "dk", "dv"],
    shares: { dq: ["dk", "dv"], dk: ["dq", "dv"], dv: ["dq", "dk"] },
    cost: {
      // Scores again, and the gradients of weights, q, k and v.
      flops: (sizes) => 10 * attended(sizes),
      touched: (s) => ({
        q: queriesOf(s),
        k: keysOf(s),
        v: keysOf(s),
        dq: queriesOf(s),
        dk: keysOf(s),
        dv: keysOf(s),
      }),
      unread: ["dq", "dk", "dv"],
    },
    split: {
      // Of each query logSumExp and rowsum(dOut∘out), in one buffer.
      scratch: { stats: ({ batch, heads, queries }) => 2 * batch * heads * queries },
      passes: [
        { reads: ["dOut", "out", "logSumExp"], writes: ["stats"] },
        { reads: ["dOut", "q", "k", "v", "stats", "kept"], writes: ["dk", "dv"] },
        { reads: ["dOut", "q", "k", "v", "stats", "kept"], writes: ["dq"] },
      ],
    },
  }),
} as const;
