/** Attention kernels of the kernel table (kernels.ts). */

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

/** Limits of the forward and backward kernel. */
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
   * Attention (Vaswani et al. 2017), per head.
   * With `causal` = 1, a query sees the keys up to start + query. With `causal` = 0, a query sees all start + queries
   * keys. With `window` > 0, a query sees only the last `window` of these keys. The query at position i sees key j if 0
   * ≤ i − j < window (Beltagy et al. 2020, Longformer). `window` = 0 means no window. If the window is at least as long
   * as the sequence, the bits are the same as without a window.
   * Shapes: q [B, queries, H·D]; k and v [B, start + queries, Hk·D]; out [B, queries, H·D], dense. q, k and v each have
   * their own row and batch strides, so they may be parts of one [B, T, (H + 2·Hk)·D] array or of a cache. Hk =
   * `keyHeads` divides H: query head h uses key head ⌊h·Hk/H⌋ (grouped queries, Ainslie et al. 2023).
   * If sequences have different lengths, `segments` [B, 4] describes each sequence as {first row in q, number of rows,
   * first row in k, start}. q and out have `rows` rows, k and v have `keyRows` rows, and logSumExp is [H, rows].
   * `queries` is the maximum number of rows; batch strides are unused. Sequences must not share rows of q: the output
   * of a shared row would depend on which sequence is written last. A compiled backend clamps rows that are out of
   * range. Each sequence gets the same bits as in a separate call.
   * Paged keys: with `pages` [pageCount], k and v are in pages of 32 rows (`pageRows`). The third number of a segment
   * is the index in `pages` at which the page numbers of the sequence begin. Key j is in row 32·pages[index + ⌊j/32⌋] +
   * (j mod 32). Paging does not change the bits. Pages before the windows of all queries are never read, so the numbers
   * of these pages may be arbitrary.
   * The kernel saves logSumExp [B, H, queries] for the backward kernel. `p` = 0 means no dropout. With dropout, `kept`
   * [B, H, ⌈keys/32⌉, queries] saves the mask: bit j of word w is keep(32·w + j), as in linearDropoutForward. Keys are
   * grouped in blocks of 64. A query writes only the words of blocks in which the query sees a key. If `kept` is given,
   * start must be 0. The bits of a causal query depend only on its absolute position and the values that it sees, not
   * on `queries`.
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
      { kind: "zero", size: "start", given: "kept", where: "if the mask is kept" },
      { kind: "zero", size: "start", given: "segments", where: "if segments have their own" },
    ],
    oneType: ["q", "k", "v", "out"],
    cost: {
      // The two products: scores, and the mix of values.
      flops: (sizes) => 4 * attended(sizes),
      touched: (s) => ({ q: queriesOf(s), k: keysOf(s), v: keysOf(s) }),
      unread: ["kept"],
    },
  }),

  /**
   * dq, dk and dv have the strides of q, k and v. Like q, k and v, they may be parts of one array. `start` must be 0,
   * also in every segment. Segments must not share rows of k. The kernel computes the probabilities again. If `kept` is
   * null, the dropout mask is drawn again. The kernel sums dk and dv over the heads of a group in ascending order.
   */
  attentionBackward: kernel({
    purpose: "Gradients of attentionForward: overwrites dq, dk and dv",
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
      // Products: the scores once more, and the gradients of weights, q, k and v.
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
      // logSumExp and rowsum(dOut∘out) of each query, in one buffer.
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
