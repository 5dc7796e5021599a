/**
 * L = Σ over rows of logSumExp(z) − z[target] with z = x·Wᵀ + b: the head and the loss in one op
 *
 *   x [.., K]   W [V, K]   b [V]   targets [..]   →   L [1]
 *   dz = dL·(softmax(z) − onehot(target))     dx = dz·W     dW = dzᵀ·x     db = Σ over rows of dz
 *
 * The logits of a large vocabulary are never all in memory. The op computes logits for one range of the vocabulary at a
 * time. The forward pass uses the logits for the log-sum-exp. The backward pass computes them again, and adds the
 * gradient of each range to the gradients of x, W and b at once. This method saves memory for rows · V logits and their
 * gradients, and costs a third more products (Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary Language
 * Models").
 */

import { type Context, spend } from "../autograd/context.ts";
import { slice, type Tensor } from "../autograd/tensor.ts";
import type { Capabilities, View } from "../backend/backend.ts";
import { panelRows } from "../backend/kernels/block-forms.ts";
import { blockProduct, multipliesBlocks, withFactor } from "./blocks.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { type LinearWeights, linear, linearSizes, weightsOf } from "./linear.ts";
import { requireShape } from "./op.ts";

/**
 * Maximum number of logits that are kept for the backward pass. The usual limit is 64 MiB, because computing logits
 * again takes longer than reading them. With bfloat16 tiles, computing them again is faster, so the limit is 8 MiB.
 */
const keptLogits = ({ tiles }: Capabilities): number => (tiles === "bfloat16" ? 2 ** 21 : 2 ** 24);
/**
 * If there are more logits than the limit, at most about this number of logits is in memory at one time. A cache has
 * room for this number.
 */
const logitsAtATime = 2 ** 20;
/** Logits are computed for at least this many tokens of the vocabulary at a time, so that x is not read too often. */
const leastColumns = 512;

/** For `rows` rows, the number of vocabulary tokens that have logits in memory at one time. */
export const columnsAtATime = (capabilities: Capabilities, rows: number, vocabSize: number): number => {
  if (rows * vocabSize <= keptLogits(capabilities)) return vocabSize;
  const columns = Math.max(leastColumns, Math.floor(logitsAtATime / rows));
  // Divides the vocabulary into ranges of nearly equal size. The size is a multiple of the block sizes of all kernels.
  return Math.ceil(vocabSize / Math.ceil(vocabSize / columns) / 64) * 64;
};

/**
 * Maximum number of values of a quantized weight that are converted at a time. The weight of a head is many times
 * larger.
 */
const widenedAtATime = 2 ** 22;

/**
 * Number of rows of a quantized weight to use at a time. The number is at most about `asked`, and a multiple of the
 * rows of a panel.
 */
export const columnsOfBlocks = (context: Context, weight: Tensor, asked: number): number => {
  const width = multipliesBlocks(context, weight) ? asked : Math.min(asked, widenedAtATime / (weight.shape[1] ?? 1));
  return Math.max(1, Math.ceil(width / panelRows)) * panelRows;
};

/** A range of the vocabulary: tokens [first, first + columns). */
export interface Range {
  readonly first: number;
  readonly columns: number;
}

export const rangesOf = (vocabSize: number, columns: number): readonly Range[] =>
  Array.from({ length: Math.ceil(vocabSize / columns) }, (_, i) => ({
    first: i * columns,
    columns: Math.min(columns, vocabSize - i * columns),
  }));

/** The rows of W, or the elements of b, for a range of the vocabulary. */
export const partOf = <T extends Tensor | null>(whole: T, { first, columns }: Range): T => {
  if (whole === null) return whole;
  const [, ...rest] = whole.shape;
  const width = rest.reduce((product, size) => product * size, 1);
  return slice(whole, first * width, [columns, ...rest]) as Tensor as T;
};

/** The head over `x`: the rows of W that belong to a range, and the logits of a range. */
export const headOver = (context: Context, x: Tensor, weights: LinearWeights) => {
  const { backend } = context;
  const { m: rows, k } = linearSizes("linearCrossEntropy", x, weights);
  const withPart = (range: Range, use: (w: View) => void): void =>
    withFactor(context, weights.weight, use, { first: range.first, count: range.columns });
  const logitsIn = (logits: Tensor, range: Range): void => {
    if (multipliesBlocks(context, weights.weight)) {
      const { first, columns: count } = range;
      blockProduct(context, x, weights.weight, {
        first,
        count,
        bias: weights.bias,
        addend: null,
        y: logits,
        m: rows,
        k,
      });
      return;
    }
    const given = { x, bias: partOf(weights.bias, range), addend: null, y: logits, m: rows, n: range.columns, k };
    withPart(range, (w) => backend.run("linearForward", { ...given, w }));
  };
  return { withPart, logitsIn };
};

/**
 * Returns the sum of the losses, [1], in nats. A row with a negative target is ignored.
 * @param columns number of vocabulary tokens that have logits in memory at one time. The default depends on the sizes.
 */
export const linearCrossEntropy = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  targets: Tensor,
  columns?: number,
): Tensor => {
  const { backend, memory, tape } = context;
  const { m: rows, n: vocabSize, k } = linearSizes("linearCrossEntropy", x, weights);
  requireShape("linearCrossEntropy", "targets", targets, x.shape.slice(0, -1));
  const asked = columns ?? columnsAtATime(backend.capabilities, rows, vocabSize);
  const wanted = weights.weight.blocks === undefined ? asked : columnsOfBlocks(context, weights.weight, asked);
  const width = Math.min(wanted, vocabSize);
  if (width === vocabSize) {
    const logits = linear(context, x, weights);
    const loss = crossEntropy(context, logits, targets);
    spend(context, logits);
    return loss;
  }

  const ranges = rangesOf(vocabSize, width);
  const { withPart, logitsIn } = headOver(context, x, weights);

  const logits = memory.allocate([rows, width]);
  const losses = memory.allocate([rows]);
  const logSumExp = memory.allocate([rows]);
  const loss = memory.allocate([1]);
  for (const range of ranges) {
    logitsIn(logits, range);
    backend.run("crossEntropyForward", { logits, targets, losses, logSumExp, rows, ...range, vocabSize });
  }
  backend.run("sum", { x: losses, y: loss, n: rows });
  memory.release(losses);
  memory.release(logits);
  if (tape === null) {
    memory.release(logSumExp);
    return loss;
  }

  tape.record(loss, [x, ...weightsOf(weights)], [logSumExp], (dLoss) => {
    const z = memory.allocate([rows, width]);
    const dz = memory.allocate([rows, width], backend.capabilities.activations);
    const dx = tape.tracks(x) ? memory.allocate(x.shape) : null;
    const dWeight = tape.destination(weights.weight);
    const dBias = weights.bias === null ? null : tape.accumulator(weights.bias);
    for (const range of ranges) {
      const sizes = { m: rows, n: range.columns, k };
      logitsIn(z, range);
      backend.run("crossEntropyBackward", {
        logits: z,
        targets,
        logSumExp,
        dLoss,
        dLogits: dz,
        rows,
        ...range,
        vocabSize,
      });
      if (dx !== null) {
        const add = range.first === 0 ? 0 : 1;
        withPart(range, (w) => backend.run("linearBackwardInput", { dy: dz, w, factor: null, dx, ...sizes, add }));
      }
      if (dWeight !== null) {
        const { gradient, add } = dWeight;
        const parts = { dw: partOf(gradient, range), dBias: partOf(dBias, range) };
        backend.run("linearBackwardWeight", { dy: dz, x, ...parts, ...sizes, add });
      }
    }
    memory.release(dz);
    memory.release(z);
    if (dx !== null) tape.accumulate(x, dx);
  });
  return loss;
};
