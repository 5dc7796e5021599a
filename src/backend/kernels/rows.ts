/** The part of the kernel table (kernels.ts) that computes row by row: embedding, norms, rotary position embedding. */

import { activation, activationOutput, indices, input, kernel, maybeInput, maybeUpdate, output } from "./signature.ts";
import { gathered, rotaryLengths, rotaryTables } from "./sizes.ts";

const rotarySizes = ["rows", "time", "heads", "headDim", "start"] as const;

export const rowKernels = {
  /**
   * `ids` is [rows], rows = B·time. Ids are in [0, vocabSize): the caller has checked them; a compiled backend clamps what is
   * not.
   */
  embeddingForward: kernel({
    purpose: "y[r, :] = tokens[ids[r], :] + positions[start + r mod time, :]",
    buffers: { ids: indices, tokens: input, positions: maybeInput, y: output },
    ints: ["rows", "time", "channels", "vocabSize", "start"],
    floats: [],
    lengths: ({ rows, time, channels, vocabSize, start }) => ({
      ids: rows,
      tokens: vocabSize * channels,
      positions: (start + time) * channels,
      y: rows * channels,
    }),
    limits: [
      { kind: "positive", size: "time" },
      { kind: "positive", size: "vocabSize" },
    ],
    cost: { touched: gathered },
  }),

  /** Rows are added in ascending r. */
  embeddingBackward: kernel({
    purpose: "dTokens[ids[r], :] += dy[r, :]; dPositions[start + r mod time, :] += dy[r, :]",
    buffers: { ids: indices, dy: input, dTokens: maybeUpdate, dPositions: maybeUpdate },
    ints: ["rows", "time", "channels", "vocabSize", "start"],
    floats: [],
    lengths: ({ rows, time, channels, vocabSize, start }) => ({
      ids: rows,
      dy: rows * channels,
      dTokens: vocabSize * channels,
      dPositions: (start + time) * channels,
    }),
    limits: [
      { kind: "positive", size: "time" },
      { kind: "positive", size: "vocabSize" },
    ],
    cost: {
      touched: (sizes) => {
        const { tokens, positions } = gathered(sizes);
        return { dTokens: tokens, dPositions: positions };
      },
    },
  }),

  /** Keeps mean and rstd = 1/√(var + eps), each [rows]. */
  layerNormForward: kernel({
    purpose: "y = (x − mean) · rstd · gamma + beta over the last axis",
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

  layerNormBackward: kernel({
    purpose:
      "Gradients of layerNormForward: dx is overwritten, or with `add` = 1 added to; dGamma and dBeta are added to",
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
    cost: { readToAdd: ["dx"] },
  }),

  /** Zhang & Sennrich 2019. Keeps rstd = 1/√(mean(x²) + eps), [rows]. */
  rmsNormForward: kernel({
    purpose: "y = x · rstd · gamma over the last axis",
    buffers: { x: input, gamma: input, y: activationOutput, rstd: output },
    ints: ["rows", "channels"],
    floats: ["eps"],
    lengths: ({ rows, channels }) => ({ x: rows * channels, gamma: channels, y: rows * channels, rstd: rows }),
  }),

  rmsNormBackward: kernel({
    purpose: "Gradients of rmsNormForward: dx is overwritten, or with `add` = 1 added to; dGamma is added to",
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
    cost: { readToAdd: ["dx"] },
  }),

  /**
   * Su et al. 2021, with an optional RMS norm of each head of q and k before it (Henry et al. 2020). Row r is at position
   * p = start + r mod time. Per head, with h = D/2:
   * z = x · rstd · gamma over D, y[i] = z[i]·cos[p, i] − z[i+h]·sin[p, i], y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i].
   * v is copied. cos and sin are [start + time or more, D/2], D is even. gammaQ and gammaK, each [D], are shared by the
   * heads; null: z = x. Keeps rstd = 1/√(mean(x²) + eps), [rows, 2·H], 1 without a norm.
   * Row r of y depends on row r of x alone and has the same bits for every number of rows.
   */
  rotaryForward: kernel({
    purpose:
      "Rotary position embedding of packed q | k | v, [rows, 3·H·D], after an optional norm of each head of q and k",
    buffers: {
      x: input,
      gammaQ: maybeInput,
      gammaK: maybeInput,
      cos: input,
      sin: input,
      y: activationOutput,
      rstd: output,
    },
    ints: rotarySizes,
    floats: ["eps"],
    lengths: (sizes) => {
      const { packed, gamma, table, stats } = rotaryLengths(sizes);
      return { x: packed, gammaQ: gamma, gammaK: gamma, cos: table, sin: table, y: packed, rstd: stats };
    },
    limits: [
      { kind: "positive", size: "time" },
      { kind: "positive", size: "headDim" },
      { kind: "even", size: "headDim" },
      { kind: "together", buffers: ["gammaQ", "gammaK"] },
    ],
    cost: { touched: rotaryTables },
  }),

  /** dGammaQ and dGammaK are left alone where there is no norm. */
  rotaryBackward: kernel({
    purpose: "Gradients of rotaryForward: dx is overwritten; dGammaQ and dGammaK are added to",
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
    ints: rotarySizes,
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
    limits: [
      { kind: "positive", size: "time" },
      { kind: "positive", size: "headDim" },
      { kind: "even", size: "headDim" },
      { kind: "together", buffers: ["gammaQ", "gammaK"] },
    ],
    cost: { touched: rotaryTables },
    split: {
      scratch: {},
      passes: [
        { reads: ["dy", "x", "gammaQ", "gammaK", "cos", "sin", "rstd"], writes: ["dx"] },
        { reads: ["dy", "x", "cos", "sin", "rstd"], writes: ["dGammaQ", "dGammaK"] },
      ],
    },
  }),
} as const;
