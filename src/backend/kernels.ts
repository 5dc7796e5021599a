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

import { attentionKernels } from "./attention-kernels.ts";
import { lossSizes, rotaryLengths, rotarySizes, strided } from "./kernel-sizes.ts";
import { linearKernels } from "./linear-kernels.ts";
import {
  activation,
  activationOutput,
  activationUpdate,
  indices,
  input,
  kernel,
  maybeActivationOutput,
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

  /** y = alpha · a + beta · b, elementwise; y may be a or b. `unreal`, [1], becomes 1 where an element of y is not finite. */
  combine: kernel({
    buffers: { a: input, b: input, y: output, unreal: maybeUpdate },
    ints: ["n"],
    floats: ["alpha", "beta"],
    lengths: ({ n }) => ({ a: n, b: n, y: n, unreal: 1 }),
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

  // x·Wᵀ + b with what ends it, and its gradients.
  ...linearKernels,

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

  // Forward and back.
  ...attentionKernels,

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
   * `unreal`, [1], becomes 1 where an element of the new param, m or v is not finite, and is left alone otherwise.
   */
  adamStep: kernel({
    buffers: {
      param: update,
      grad: input,
      m: update,
      v: update,
      rounded: maybeActivationOutput,
      unreal: maybeUpdate,
    },
    ints: ["n"],
    floats: ["beta1", "beta2", "eps", "stepSize", "sqrtCorrection2", "decayFactor", "coupledDecay", "gradScale"],
    lengths: ({ n }) => ({ param: n, grad: n, m: n, v: n, rounded: n, unreal: 1 }),
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
