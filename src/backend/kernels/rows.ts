/** Row-by-row kernels of the kernel table (kernels.ts): embedding, norms, rotary position embedding. */

import {
  activation,
  activationOutput,
  indices,
  input,
  kernel,
  maybeActivation,
  maybeIndices,
  maybeInput,
  maybeUpdate,
  output,
} from "./signature.ts";
import { gathered, rotaryLengths, rotarySizes, rotaryTables } from "./sizes.ts";

const embeddingSizes = ["rows", "time", "channels", "vocabSize", "start", "positionRows"] as const;

const embeddingLimits = [
  { kind: "positive", size: "time" },
  { kind: "positive", size: "vocabSize" },
  { kind: "range", first: "start", count: "time", end: "positionRows" },
] as const;

const rotaryLimits = [
  { kind: "positive", size: "time" },
  { kind: "positive", size: "headDim" },
  { kind: "even", size: "headDim" },
  { kind: "even", size: "rotaryDim" },
  { kind: "most", size: "rotaryDim", most: "headDim" },
  { kind: "range", first: "start", count: "time", end: "tableRows" },
  { kind: "together", buffers: ["gammaQ", "gammaK"] },
] as const;

export const rowKernels = {
  /**
   * `ids` is [rows], rows = B·time, each in [0, vocabSize). `positions` has `positionRows` rows. With `places` [rows],
   * row r uses row places[r] of `positions`. The caller checks ids and places; a compiled backend clamps invalid ids
   * and places. Models that are not trained may have bfloat16 tables, which are converted and added in float32.
   */
  embeddingForward: kernel({
    purpose: "y[r, :] = scale · tokens[ids[r], :] + positions[start + r mod time, :]",
    buffers: { ids: indices, tokens: activation, positions: maybeActivation, places: maybeIndices, y: output },
    ints: embeddingSizes,
    floats: ["scale"],
    lengths: ({ rows, channels, vocabSize, positionRows }) => ({
      ids: rows,
      tokens: vocabSize * channels,
      positions: positionRows * channels,
      places: rows,
      y: rows * channels,
    }),
    limits: embeddingLimits,
    oneType: ["tokens", "positions"],
    cost: { touched: gathered },
  }),

  /** Rows are added in ascending order of r. */
  embeddingBackward: kernel({
    purpose: "dTokens[ids[r], :] += scale · dy[r, :]; dPositions[start + r mod time, :] += dy[r, :]",
    buffers: { ids: indices, places: maybeIndices, dy: input, dTokens: maybeUpdate, dPositions: maybeUpdate },
    ints: embeddingSizes,
    floats: ["scale"],
    lengths: ({ rows, channels, vocabSize, positionRows }) => ({
      ids: rows,
      places: rows,
      dy: rows * channels,
      dTokens: vocabSize * channels,
      dPositions: positionRows * channels,
    }),
    limits: embeddingLimits,
    cost: {
      touched: (sizes) => {
        const { tokens, positions } = gathered(sizes);
        return { dTokens: tokens, dPositions: positions };
      },
    },
  }),

  /** Saves mean and rstd = 1/√(var + eps), each [rows]. */
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
    purpose: "Gradients of layerNormForward: adds to dGamma and dBeta; overwrites dx, or adds to it if `add` is 1",
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
    purpose: "Gradients of rmsNormForward: adds to dGamma; overwrites dx, or adds to it if `add` is 1",
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
   * The rotary position embedding of Su et al. 2021, after an optional RMS norm of each head of q and k (Henry et al.
   * 2020). Row r is at position p = start + r mod time. If `places` [rows] is given, row r is at position p =
   * places[r]. Per head, with R = `rotaryDim` and h = R/2:
   * z = x · rstd · gamma over D, y[i] = z[i]·cos[p, i] − z[i+h]·sin[p, i], y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i];
   * from channel R on, y is z. v is copied.
   * cos and sin are [tableRows, R/2]; D and R are even. The caller checks that places are below `tableRows`. A compiled
   * backend clamps invalid places. gammaQ and gammaK, each [D], are shared by all heads. If they are null, z = x. With
   * `together` = 1, one mean covers all heads of q, and another mean covers all heads of k; gammaQ is [H·D], gammaK is
   * [Hk·D]. The kernel saves rstd = 1/√(mean(x²) + eps), [rows, H + Hk]; rstd is 1 without a norm.
   * Row r of y depends only on row r of x and has the same bits for every number of rows.
   */
  rotaryForward: kernel({
    purpose:
      "Rotary position embedding of packed q | k | v, [rows, (H + 2·Hk)·D], after an optional norm of each head of q and k",
    buffers: {
      x: input,
      gammaQ: maybeInput,
      gammaK: maybeInput,
      cos: input,
      sin: input,
      places: maybeIndices,
      y: activationOutput,
      rstd: output,
    },
    ints: rotarySizes,
    floats: ["eps"],
    lengths: (sizes) => {
      const { packed, gammaQ, gammaK, table, stats, places } = rotaryLengths(sizes);
      return { x: packed, gammaQ, gammaK, cos: table, sin: table, places, y: packed, rstd: stats };
    },
    limits: rotaryLimits,
    cost: { touched: rotaryTables },
  }),

  /** Without a norm, x is not read, and dGammaQ and dGammaK are not touched. Without x, there is no norm. */
  rotaryBackward: kernel({
    purpose: "Gradients of rotaryForward: overwrites dx; adds to dGammaQ and dGammaK",
    buffers: {
      dy: activation,
      x: maybeInput,
      gammaQ: maybeInput,
      gammaK: maybeInput,
      cos: input,
      sin: input,
      places: maybeIndices,
      rstd: input,
      dx: activationOutput,
      dGammaQ: maybeUpdate,
      dGammaK: maybeUpdate,
    },
    ints: rotarySizes,
    floats: [],
    lengths: (sizes) => {
      const { packed, gammaQ, gammaK, table, stats, places } = rotaryLengths(sizes);
      return {
        dy: packed,
        x: packed,
        gammaQ,
        gammaK,
        cos: table,
        sin: table,
        places,
        rstd: stats,
        dx: packed,
        dGammaQ: gammaQ,
        dGammaK: gammaK,
      };
    },
    limits: rotaryLimits,
    cost: { touched: rotaryTables },
    split: {
      // dz is the gradient of z: dy rotated back.
      scratch: { dz: (sizes) => rotaryLengths(sizes).packed },
      passes: [
        { reads: ["dy", "cos", "sin", "places"], writes: ["dz"] },
        { reads: ["dz", "x", "gammaQ", "gammaK", "rstd"], writes: ["dx"] },
        { reads: ["dz", "x", "rstd"], writes: ["dGammaQ", "dGammaK"] },
      ],
    },
  }),
} as const;
