/** Attention's part of the kernel table (kernels.ts). */

import { attentionLengths, attentionSizes, dropoutKey } from "./kernel-sizes.ts";
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

export const attentionKernels = {
  /**
   * Attention (Vaswani et al. 2017): out = dropout(softmax(q·kᵀ·scale)) · v, per head, over the keys that a query sees:
   * `causal` = 1: those ≤ start + query; 0: all start + queries.
   * q is [B, queries, H·D], k and v are [B, start + queries, H·D], each with its own row and batch strides (so that
   * they may be parts of one [B, T, 3C] array or of a cache); out is dense [B, queries, H·D].
   * logSumExp [B, H, queries] keeps what backward needs. `p` = 0 means no dropout. With it, `kept` keeps the mask as bits,
   * [B, H, ⌈keys/32⌉, queries]: bit j of word w is keep(32·w + j), as linearDropoutForward has it. Of a query
   * those words are written that are of blocks of 64 keys of which it sees any. Where it is given, start is 0.
   * A causal query's bits do not depend on `queries`, only on its absolute position and the values it sees.
   */
  attentionForward: kernel({
    buffers: {
      q: activation,
      k: activation,
      v: activation,
      out: activationOutput,
      logSumExp: output,
      kept: maybeBitsUpdate,
    },
    ints: [...attentionSizes, ...dropoutKey, "causal"],
    floats: ["scale", "p"],
    lengths: (sizes) => {
      const { queries, keys, out, stats, kept } = attentionLengths(sizes);
      return { q: queries, k: keys, v: keys, out, logSumExp: stats, kept };
    },
  }),

  /**
   * dq, dk, dv are overwritten, with the strides of q, k and v; start must be 0. Probabilities are recomputed, and without
   * `kept` of the forward call the dropout mask is drawn again.
   */
  attentionBackward: kernel({
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
  }),
} as const;
