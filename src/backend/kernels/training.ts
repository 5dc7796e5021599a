/** The part of the kernel table (kernels.ts) that only training needs: the loss, and the update of weights. */

import { activationOutput, indices, input, kernel, maybeActivationOutput, maybeUpdate, update } from "./signature.ts";

/** Columns [first, first + columns) of vocabSize. */
const lossSizes = ["rows", "columns", "first", "vocabSize"] as const;

export const trainingKernels = {
  /**
   * In nats; 0 where targets[r] < 0 (ignored). Keeps logSumExp, [rows].
   *
   * z[rows, vocabSize] is given whole, or a range of its columns at a time, in ascending order: logits[rows, columns] are
   * those from column `first` on, and logSumExp is that of the columns so far. Before the last range losses[r] is the
   * target's −z where that has come, else 0. The first range overwrites both.
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
   * In columns [first, first + columns), of which z is in logits; 0 in ignored rows. dLoss is [1], logSumExp that of all
   * columns.
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
   * Adam (Kingma & Ba 2014) and AdamW (Loshchilov & Hutter 2017), as torch.optim, with g = gradScale · grad.
   * Before the update coupledDecay adds coupledDecay · param to g (Adam's L2), decayFactor multiplies param (AdamW).
   * stepSize = learningRate / (1 − β₁ᵗ); sqrtCorrection2 = √(1 − β₂ᵗ). rounded is a copy of the new param.
   * `unreal`, [1], becomes 1 where an element of the new param, m or v is not finite, and is left alone otherwise.
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
