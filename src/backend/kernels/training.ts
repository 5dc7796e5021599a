/** Kernels that only training needs, a part of the kernel table (kernels.ts): the loss, and the update of weights. */

import { activationOutput, indices, input, kernel, maybeActivationOutput, maybeUpdate, update } from "./signature.ts";

/** A range of columns, [first, first + columns), within vocabSize. */
const lossSizes = ["rows", "columns", "first", "vocabSize"] as const;

export const trainingKernels = {
  /**
   * Losses in nats. A row with targets[r] < 0 is ignored and has the loss 0. The kernel saves logSumExp, [rows].
   * The caller gives z [rows, vocabSize] in one call, or in several calls with ranges of columns in ascending order. In
   * each call, `logits` [rows, columns] contains the columns of z from `first` on. logSumExp covers the columns of all
   * calls so far. Before the last range, losses[r] is −z of the target if a call has covered the target's column, and 0
   * otherwise. The first range overwrites losses and logSumExp.
   */
  crossEntropyForward: kernel({
    purpose: "losses[r] = logSumExp(z[r, :]) − z[r, targets[r]]",
    buffers: { logits: input, targets: indices, losses: update, logSumExp: update },
    ints: lossSizes,
    floats: [],
    lengths: ({ rows, columns }) => ({ logits: rows * columns, targets: rows, losses: rows, logSumExp: rows }),
    limits: [
      { kind: "positive", size: "columns" },
      { kind: "range", first: "first", count: "columns", end: "vocabSize" },
    ],
  }),

  /**
   * Computes the gradient of columns [first, first + columns). logits contains z of these columns. The gradient is 0 in
   * ignored rows. dLoss is [1]; logSumExp covers all columns.
   */
  crossEntropyBackward: kernel({
    purpose: "dLogits = dLoss · (softmax(z) − onehot(target))",
    buffers: { logits: input, targets: indices, logSumExp: input, dLoss: input, dLogits: activationOutput },
    ints: lossSizes,
    floats: [],
    lengths: ({ rows, columns }) => ({
      logits: rows * columns,
      targets: rows,
      logSumExp: rows,
      dLoss: 1,
      dLogits: rows * columns,
    }),
    limits: [
      { kind: "positive", size: "columns" },
      { kind: "range", first: "first", count: "columns", end: "vocabSize" },
    ],
  }),

  /**
   * Adam (Kingma & Ba 2014) and AdamW (Loshchilov & Hutter 2017), as in torch.optim, with g = gradScale · grad. Before
   * the update, the kernel adds coupledDecay · param to g (L2 regularisation of Adam) and multiplies param by
   * decayFactor (AdamW). stepSize = learningRate / (1 − β₁ᵗ); sqrtCorrection2 = √(1 − β₂ᵗ). rounded receives a copy of
   * the new param. `unreal`, [1], is set to 1 if an element of the new param, m or v is not finite. Otherwise `unreal`
   * keeps its value.
   */
  adamStep: kernel({
    purpose: "m = β₁m + (1−β₁)g; v = β₂v + (1−β₂)g²; param −= stepSize · m / (√v / sqrtCorrection2 + eps)",
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
    cost: { unread: ["unreal"] },
  }),
} as const;
