/**
 * The kernels: every computation a backend can be asked for, with what it reads, what it writes and how long each
 * buffer must be. This table is the one place where a kernel is declared. From it follow the TypeScript types of its
 * arguments, the size checks made before any backend is called, and the argument order of the C++ table
 * (native/call.h), which is compared with this one when a compiled backend is loaded.
 *
 * Shape letters: B batch, T time, C channels (nEmbd), H heads, D headDim, V vocabulary; M×K·(N×K)ᵀ for products.
 * All arrays are dense and row-major. `real` is float32 (float64 on the reference backend), `index` is int32.
 * "out" is overwritten, "inout" is read and updated; an optional buffer may be null.
 */

import {
  attentionLengths,
  attentionSizes,
  dropoutKey,
  lossSizes,
  rotaryLengths,
  rotarySizes,
  strided,
  wordsOf,
} from "./kernel-sizes.ts";
import {
  activation,
  activationOutput,
  activationUpdate,
  bits,
  bitsOutput,
  indices,
  input,
  kernel,
  maybeActivation,
  maybeActivationOutput,
  maybeBits,
  maybeBitsUpdate,
  maybeInput,
  maybeUpdate,
  type Numbers,
  output,
  update,
} from "./signature.ts";

export const kernels = {
  /** y[i] = value. */
  fill: kernel({
    buffers: { y: output },
    ints: ["n"],
    floats: ["value"],
    lengths: ({ n }) => ({ y: n }),
  }),

  /** y = a + b, elementwise; y may be a or b. */
  add: kernel({
    buffers: { a: activation, b: activation, y: activationOutput },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ a: n, b: n, y: n }),
  }),

  /** y = alpha · a + beta · b, elementwise; y may be a or b. */
  combine: kernel({
    buffers: { a: input, b: input, y: output },
    ints: ["n"],
    floats: ["alpha", "beta"],
    lengths: ({ n }) => ({ a: n, b: n, y: n }),
  }),

  /** Copies `rows` rows of `width` from x (row stride xStride) to y (row stride yStride). No overlap. */
  copyRows: kernel({
    buffers: { x: activation, y: activationUpdate },
    ints: ["rows", "width", "xStride", "yStride"],
    floats: [],
    lengths: ({ rows, width, xStride, yStride }) => ({
      x: strided(1, 0, rows, xStride, width),
      y: strided(1, 0, rows, yStride, width),
    }),
  }),

  /** Σx, with a fixed order of additions (any thread count gives the same bits). */
  sum: kernel({
    buffers: { x: input, y: output },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: 1 }),
  }),

  /** Σx², with a fixed order of additions. */
  sumOfSquares: kernel({
    buffers: { x: input, y: output },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: 1 }),
  }),

  /** y = x / (√squares[0] + eps); y may be x. `squares` is [1], as sumOfSquares writes it. */
  scaleByNorm: kernel({
    buffers: { x: input, squares: input, y: output },
    ints: ["n"],
    floats: ["eps"],
    lengths: ({ n }) => ({ x: n, squares: 1, y: n }),
  }),

  /**
   * y[r, :] = tokens[ids[r], :] + positions[start + r mod time, :]. `ids` is [rows], rows = B·time.
   * Ids are in [0, vocabSize): the caller has checked them; a compiled backend clamps what is not.
   */
  embeddingForward: kernel({
    buffers: { ids: indices, tokens: input, positions: maybeInput, y: output },
    ints: ["rows", "time", "channels", "vocabSize", "start"],
    floats: [],
    lengths: ({ rows, time, channels, vocabSize, start }) => ({
      ids: rows,
      tokens: vocabSize * channels,
      positions: (start + time) * channels,
      y: rows * channels,
    }),
  }),

  /** dTokens[ids[r], :] += dy[r, :]; dPositions[start + r mod time, :] += dy[r, :]; rows added in ascending r. */
  embeddingBackward: kernel({
    buffers: { ids: indices, dy: input, dTokens: maybeUpdate, dPositions: maybeUpdate },
    ints: ["rows", "time", "channels", "vocabSize", "start"],
    floats: [],
    lengths: ({ rows, time, channels, vocabSize, start }) => ({
      ids: rows,
      dy: rows * channels,
      dTokens: vocabSize * channels,
      dPositions: (start + time) * channels,
    }),
  }),

  /**
   * y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N] (torch.nn.functional.linear, and a residual connection).
   * Row i of y depends on row i of x alone and has the same bits for every M.
   */
  linearForward: kernel({
    buffers: { x: activation, w: activation, bias: maybeInput, addend: maybeInput, y: activationOutput },
    ints: ["m", "n", "k"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, addend: m * n, y: m * n }),
  }),

  /**
   * y = gelu(h) and, where it is asked for, slope = gelu′(h), with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N], which is kept
   * nowhere. `tanh` as for geluForward. Row i depends on row i of x alone and has the same bits for every M.
   */
  linearGeluForward: kernel({
    buffers: { x: activation, w: activation, bias: maybeInput, y: activationOutput, slope: maybeActivationOutput },
    ints: ["m", "n", "k", "tanh"],
    floats: [],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, y: m * n, slope: m * n }),
  }),

  /**
   * y[i] = addend[i] + h[i] · keep(i) / (1 − p), with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N]: a branch that ends with dropout,
   * and its residual connection. Keeps the mask as bits: bit i mod 32 of word ⌊i/32⌋ is keep(i), 0 past the last element.
   *
   * keep(i) ⇔ word(i) ≥ round(p · 2³²), where word(i) comes from Threefry-4x32-13 (core/random.ts) under the key
   * (key0, key1, key2, key3). Elements go in blocks of 64: with e = i mod 64, element i uses the counter
   * (⌊i/64⌋·16 + e mod 16, row, site, 0) and of its four words number ⌊e/16⌋. Here row = 0 and i counts the whole
   * array; in attention, row = (b·H + h)·queries + query and i is the key's position.
   */
  linearDropoutForward: kernel({
    buffers: { x: activation, w: activation, bias: maybeInput, addend: input, kept: bitsOutput, y: output },
    ints: ["m", "n", "k", ...dropoutKey],
    floats: ["p"],
    lengths: ({ m, n, k }) => ({ x: m * k, w: n * k, bias: n, addend: m * n, kept: wordsOf(m * n), y: m * n }),
  }),

  /**
   * dx[M, K] = dy[M, N] · w[N, K], elementwise times factor[M, K] where there is one; without one, and with `add` = 1, that
   * added to dx.
   */
  linearBackwardInput: kernel({
    buffers: { dy: activation, w: activation, factor: maybeActivation, dx: activationUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, w: n * k, factor: m * k, dx: m * k }),
  }),

  /**
   * The same at the end of a branch with dropout: dBranch[i] = dy[i] · kept(i) / (1 − p), with the mask of
   * linearDropoutForward, and dx[M, K] = dBranch[M, N] · w[N, K], elementwise times factor[M, K] where there is one.
   */
  linearDropoutBackwardInput: kernel({
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
    lengths: ({ m, n, k }) => ({
      dy: m * n,
      kept: wordsOf(m * n),
      w: n * k,
      factor: m * k,
      dBranch: m * n,
      dx: m * k,
    }),
  }),

  /**
   * dw[N, K] = dy[M, N]ᵀ · x[M, K], or with `add` = 1 that added to it; dBias[N] += Σ over M of dy. The sum over M is never
   * split by thread.
   */
  linearBackwardWeight: kernel({
    buffers: { dy: activation, x: activation, dw: update, dBias: maybeUpdate },
    ints: ["m", "n", "k", "add"],
    floats: [],
    lengths: ({ m, n, k }) => ({ dy: m * n, x: m * k, dw: n * k, dBias: n }),
  }),

  /** y = (x − mean) · rstd · gamma + beta over the last axis; keeps mean and rstd = 1/√(var + eps), each [rows]. */
  layerNormForward: kernel({
    buffers: { x: input, gamma: input, beta: maybeInput, y: activationOutput, mean: output, rstd: output },
    ints: ["rows", "channels"],
    floats: ["eps"],
    lengths: ({ rows, channels }) => ({
      x: rows * channels,
      gamma: channels,
      beta: channels,
      y: rows * channels,
      mean: rows,
      rstd: rows,
    }),
  }),

  /** dx is overwritten, or with `add` = 1 added to; dGamma and dBeta, each [channels], are added to. */
  layerNormBackward: kernel({
    buffers: {
      dy: activation,
      x: input,
      gamma: input,
      mean: input,
      rstd: input,
      dx: maybeUpdate,
      dGamma: maybeUpdate,
      dBeta: maybeUpdate,
    },
    ints: ["rows", "channels", "add"],
    floats: [],
    lengths: ({ rows, channels }) => ({
      dy: rows * channels,
      x: rows * channels,
      gamma: channels,
      mean: rows,
      rstd: rows,
      dx: rows * channels,
      dGamma: channels,
      dBeta: channels,
    }),
  }),

  /** y = x · rstd · gamma over the last axis (Zhang & Sennrich 2019); keeps rstd = 1/√(mean(x²) + eps), [rows]. */
  rmsNormForward: kernel({
    buffers: { x: input, gamma: input, y: activationOutput, rstd: output },
    ints: ["rows", "channels"],
    floats: ["eps"],
    lengths: ({ rows, channels }) => ({ x: rows * channels, gamma: channels, y: rows * channels, rstd: rows }),
  }),

  /** dx is overwritten, or with `add` = 1 added to; dGamma, [channels], is added to. */
  rmsNormBackward: kernel({
    buffers: { dy: activation, x: input, gamma: input, rstd: input, dx: maybeUpdate, dGamma: maybeUpdate },
    ints: ["rows", "channels", "add"],
    floats: [],
    lengths: ({ rows, channels }) => ({
      dy: rows * channels,
      x: rows * channels,
      gamma: channels,
      rstd: rows,
      dx: rows * channels,
      dGamma: channels,
    }),
  }),

  /**
   * Rotary position embedding (Su et al. 2021) of packed q | k | v, [rows, 3·H·D], with an optional RMS norm of each
   * head of q and k before it (Henry et al. 2020). Row r is at position p = start + r mod time. Per head, with h = D/2:
   * z = x · rstd · gamma over D, y[i] = z[i]·cos[p, i] − z[i+h]·sin[p, i], y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i].
   * v is copied. cos and sin are [start + time or more, D/2], D is even. gammaQ and gammaK, each [D] and shared by the
   * heads, are both given or both null (z = x). Keeps rstd = 1/√(mean(x²) + eps), [rows, 2·H], 1 without a norm.
   * Row r of y depends on row r of x alone and has the same bits for every number of rows.
   */
  rotaryForward: kernel({
    buffers: {
      x: input,
      gammaQ: maybeInput,
      gammaK: maybeInput,
      cos: input,
      sin: input,
      y: activationOutput,
      rstd: output,
    },
    ints: [...rotarySizes],
    floats: ["eps"],
    lengths: (sizes) => {
      const { packed, gamma, table, stats } = rotaryLengths(sizes);
      return { x: packed, gammaQ: gamma, gammaK: gamma, cos: table, sin: table, y: packed, rstd: stats };
    },
  }),

  /** dx is overwritten; dGammaQ and dGammaK, each [D], are added to, and left alone where there is no norm. */
  rotaryBackward: kernel({
    buffers: {
      dy: activation,
      x: input,
      gammaQ: maybeInput,
      gammaK: maybeInput,
      cos: input,
      sin: input,
      rstd: input,
      dx: output,
      dGammaQ: maybeUpdate,
      dGammaK: maybeUpdate,
    },
    ints: [...rotarySizes],
    floats: [],
    lengths: (sizes) => {
      const { packed, gamma, table, stats } = rotaryLengths(sizes);
      return {
        dy: packed,
        x: packed,
        gammaQ: gamma,
        gammaK: gamma,
        cos: table,
        sin: table,
        rstd: stats,
        dx: packed,
        dGammaQ: gamma,
        dGammaK: gamma,
      };
    },
  }),

  /** y = gelu(x). `tanh` = 0: x·Φ(x) with erf; 1: the tanh approximation (Hendrycks & Gimpel 2016). */
  geluForward: kernel({
    buffers: { x: input, y: output },
    ints: ["n", "tanh"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: n }),
  }),

  /** dx = dy · gelu′(x). */
  geluBackward: kernel({
    buffers: { x: input, dy: input, dx: output },
    ints: ["n", "tanh"],
    floats: [],
    lengths: ({ n }) => ({ x: n, dy: n, dx: n }),
  }),

  /** SwiGLU (Shazeer 2020): x is gate | up, [rows, 2·hidden]; y = gate · σ(gate) · up, [rows, hidden]. */
  swigluForward: kernel({
    buffers: { x: input, y: activationOutput },
    ints: ["rows", "hidden"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, y: rows * hidden }),
  }),

  /** dx = dGate | dUp, with dGate = dy · up · (σ + gate · σ · (1 − σ)) and dUp = dy · gate · σ. */
  swigluBackward: kernel({
    buffers: { x: input, dy: activation, dx: output },
    ints: ["rows", "hidden"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, dy: rows * hidden, dx: 2 * rows * hidden }),
  }),

  /**
   * Attention (Vaswani et al. 2017): out = dropout(softmax(q·kᵀ·scale)) · v, per head, over the keys that a query sees:
   * `causal` = 1: those ≤ start + query; 0: all start + queries.
   * q is [B, queries, H·D], k and v are [B, start + queries, H·D], each with its own row and batch strides (so that
   * they may be parts of one [B, T, 3C] array or of a cache); out is dense [B, queries, H·D].
   * logSumExp [B, H, queries] keeps what backward needs. `p` = 0 means no dropout. With it, `kept` keeps the mask as bits,
   * [B, H, ⌈keys/32⌉, queries]: bit j of word w is keep(32·w + j), as linearDropoutForward has it. Of a query those words are written that are of
   * blocks of 64 keys of which it sees any. Where it is given, start is 0.
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

  /**
   * losses[r] = logSumExp(z[r, :]) − z[r, targets[r]], in nats; 0 where targets[r] < 0 (ignored). Keeps logSumExp [rows].
   *
   * z[rows, vocabSize] is given whole, or a range of its columns at a time, in ascending order: logits[rows, columns] are
   * those from column `first` on, and logSumExp is that of the columns so far. Before the last range losses[r] is the
   * target's −z where that has come, else 0. The first range overwrites both.
   */
  crossEntropyForward: kernel({
    buffers: { logits: input, targets: indices, losses: update, logSumExp: update },
    ints: [...lossSizes],
    floats: [],
    lengths: ({ rows, columns }) => ({ logits: rows * columns, targets: rows, losses: rows, logSumExp: rows }),
  }),

  /**
   * dLogits = dLoss · (softmax(z) − onehot(target)) in columns [first, first + columns), of which z is in logits; 0 in
   * ignored rows. dLoss is [1], logSumExp that of all columns.
   */
  crossEntropyBackward: kernel({
    buffers: { logits: input, targets: indices, logSumExp: input, dLoss: input, dLogits: activationOutput },
    ints: [...lossSizes],
    floats: [],
    lengths: ({ rows, columns }) => ({
      logits: rows * columns,
      targets: rows,
      logSumExp: rows,
      dLoss: 1,
      dLogits: rows * columns,
    }),
  }),

  /**
   * Adam (Kingma & Ba 2014) and AdamW (Loshchilov & Hutter 2017), as torch.optim: with g = gradScale · grad,
   * m = β₁m + (1−β₁)g; v = β₂v + (1−β₂)g²; param −= stepSize · m / (√v / sqrtCorrection2 + eps).
   * Before that: coupledDecay adds coupledDecay · param to g (Adam's L2), decayFactor multiplies param (AdamW).
   * stepSize = learningRate / (1 − β₁ᵗ); sqrtCorrection2 = √(1 − β₂ᵗ). rounded is a copy of the new param.
   */
  adamStep: kernel({
    buffers: { param: update, grad: input, m: update, v: update, rounded: maybeActivationOutput },
    ints: ["n"],
    floats: ["beta1", "beta2", "eps", "stepSize", "sqrtCorrection2", "decayFactor", "coupledDecay", "gradScale"],
    lengths: ({ n }) => ({ param: n, grad: n, m: n, v: n, rounded: n }),
  }),
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
