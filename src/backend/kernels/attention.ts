/** Attention's part of the kernel table (kernels.ts). */

import {
  activation,
  activationOutput,
  activationUpdate,
  input,
  kernel,
  maybeBits,
  maybeBitsUpdate,
  maybeIndices,
  output,
} from "./signature.ts";
import { attended, attentionLengths, attentionSizes, dropoutKey, keysOf, queriesOf } from "./sizes.ts";

/** Of both directions. */
const limits = [
  { kind: "positive", size: "keyHeads" },
  { kind: "multiple", size: "heads", of: "keyHeads" },
  { kind: "counts", size: "rows", buffer: "segments" },
  { kind: "counts", size: "keyRows", buffer: "segments" },
  { kind: "either", buffers: ["segments", "kept"] },
  { kind: "flag", flag: "causal" },
  { kind: "under", size: "window", flag: "causal" },
  { kind: "share", real: "p" },
] as const;

export const attentionKernels = {
  /**
   * Attention (Vaswani et al. 2017), per head, over the keys that a query sees:
   * `causal` = 1: those ≤ start + query; 0: all start + queries. With `window` > 0 besides, of these the last `window`: key j is
   * seen by the query at position i if 0 ≤ i − j < window (Beltagy et al. 2020, Longformer). A window that reaches all keys gives
   * the bits of no window, which is 0.
   * q is [B, queries, H·D], k and v are [B, start + queries, Hk·D], each with its own row and batch strides (so that
   * they may be parts of one [B, T, (H + 2·Hk)·D] array or of a cache); out is dense [B, queries, H·D].
   * Hk = `keyHeads` divides H: head h reads head ⌊h·Hk/H⌋ of keys and values (grouped queries, Ainslie et al. 2023).
   *
   * With `segments` [B, 4] the B sequences are of different lengths: q and out have `rows` rows, k and v `keyRows`, and a
   * sequence is {its first row of q, how many, its first row of k, its start}; `queries` is the longest's number, batch
   * strides are unused and logSumExp is [H, rows]. Each row of q is one sequence's, or what is written there depends on which is written last. A compiled
   * backend clamps what lies outside of the rows. The bits are those of a call for each sequence.
   *
   * With `pages` [pageCount] besides, k and v lie in pages of 32 rows (`pageRows`), and a segment's third number is a place in
   * `pages`, from which on the pages of the sequence are named in order: key j is in row 32·pages[place + ⌊j/32⌋] + (j mod 32).
   * The bits are those of keys in a row. Pages before the windows of all queries of the segment are never read: what stands for
   * them in `pages` may be any number.
   *
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
      segments: maybeIndices,
      pages: maybeIndices,
    },
    ints: [...attentionSizes, "pageCount", ...dropoutKey, "causal", "window"],
    words: dropoutKey,
    floats: ["scale", "p"],
    lengths: (sizes) => {
      const { queries, keys, out, stats, kept, segments } = attentionLengths(sizes);
      return { q: queries, k: keys, v: keys, out, logSumExp: stats, kept, segments, pages: sizes.pageCount };
    },
    limits: [
      ...limits,
      { kind: "counts", size: "pageCount", buffer: "pages" },
      { kind: "needs", buffer: "pages", other: "segments" },
      { kind: "zero", size: "start", given: "kept", where: "where the mask is kept" },
      { kind: "zero", size: "start", given: "segments", where: "where segments have their own" },
    ],
    oneType: ["q", "k", "v", "out"],
    cost: {
      // Scores and mixing.
      flops: (sizes) => 4 * attended(sizes),
      touched: (s) => ({ q: queriesOf(s), k: keysOf(s), v: keysOf(s) }),
      unread: ["kept"],
    },
  }),

  /**
   * dq, dk, dv have the strides of q, k and v, and may be parts of one array as these. start must be 0, and that of every
   * segment; segments share no row of k. Probabilities are recomputed, and without `kept` of the forward call the dropout
   * mask is drawn again. dk and dv add up what the heads of a group give, in ascending order.
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
      segments: maybeIndices,
      dq: activationUpdate,
      dk: activationUpdate,
      dv: activationUpdate,
    },
    ints: [...attentionSizes, ...dropoutKey, "causal", "window"],
    words: dropoutKey,
    floats: ["scale", "p"],
    lengths: (sizes) => {
      const { queries, keys, out, stats, kept, segments } = attentionLengths(sizes);
      return {
        dOut: out,
        q: queries,
        k: keys,
        v: keys,
        out,
        logSumExp: stats,
        kept,
        segments,
        dq: queries,
        dk: keys,
        dv: keys,
      };
    },
    limits: [...limits, { kind: "zero", size: "start" }],
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
      scratch: { stats: (sizes) => 2 * attentionLengths(sizes).stats },
      passes: [
        { reads: ["dOut", "out", "logSumExp"], writes: ["stats"] },
        { reads: ["dOut", "q", "k", "v", "stats", "kept", "segments"], writes: ["dk"] },
        { reads: ["dOut", "q", "k", "v", "stats", "kept", "segments"], writes: ["dv"] },
        { reads: ["dOut", "q", "k", "v", "stats", "kept", "segments"], writes: ["dq"] },
      ],
    },
  }),
} as const;
