/**
 * y = x·Wᵀ + b, and at the end of a branch y = residual + dropout(x·Wᵀ + b)
 *
 *   x [.., K]   W [N, K]   b [N]   residual [.., N]   →   y [.., N]
 *   d = dropout(dy), the same draw     dx = d·W     dW = dᵀ·x     db = Σ over rows of d     dResidual = dy
 *
 * Without a branch, the op equals torch.nn.functional.linear.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { wordsOf } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { formatShape } from "../core/tensors/shape.ts";
import { blockProduct, multipliesBlocks, withFactor } from "./blocks.ts";
import { type Draw, type Dropped, drawDropout } from "./dropout.ts";
import { requireShape, rowsOf } from "./op.ts";

/** The weight, [N, K], and the bias, [N]. If `bias` is null, there is no bias. */
export interface LinearWeights {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
}

/** Numbers of rows, outputs and inputs of a product, as kernel arguments. */
export interface LinearSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Checks the shapes of x·Wᵀ + b and returns its sizes. */
export const linearSizes = (where: string, x: Tensor, { weight, bias }: LinearWeights): LinearSizes => {
  const [n, k] = weight.shape;
  if (n === undefined || k === undefined || weight.shape.length !== 2) {
    throw new ShapeError({ where, must: "the weight must be [N, K]", got: formatShape(weight.shape) });
  }
  const m = rowsOf(where, x, k);
  if (bias !== null) requireShape(where, "the bias", bias, [n]);
  return { m, n, k };
};

/** Weight and bias as inputs for `tape.record`. */
export const weightsOf = ({ weight, bias }: LinearWeights): readonly Tensor[] =>
  bias === null ? [weight] : [weight, bias];

/** Adds the gradients of x, W and b. dy is the gradient of y = x·Wᵀ + b. */
export const linearGradients = (context: Context, x: Tensor, weights: LinearWeights, dy: Tensor): void => {
  const { backend, memory, tape } = context;
  if (tape?.tracks(x)) {
    const dx = memory.allocate(x.shape, x.storage.dtype);
    const sizes = linearSizes("linear", x, weights);
    withFactor(context, weights.weight, (w) =>
      backend.run("linearBackwardInput", { dy, w, factor: null, dx, ...sizes, add: 0 }),
    );
    tape.accumulate(x, dx);
  }
  weightGradients(context, x, weights, dy);
};

/** Adds only the gradients of W and b. */
export const weightGradients = (context: Context, x: Tensor, weights: LinearWeights, dy: Tensor): void => {
  const { backend, tape } = context;
  const to = tape?.destination(weights.weight) ?? null;
  const dBias = weights.bias === null ? null : (tape?.accumulator(weights.bias) ?? null);
  if (to === null) return;
  const sizes = linearSizes("linear", x, weights);
  backend.run("linearBackwardWeight", { dy, x, dw: to.gradient, dBias, ...sizes, add: to.add });
};

/** y = x·Wᵀ + b + addend */
const multiply = (
  context: Context,
  x: Tensor,
  { weight, bias }: LinearWeights,
  addend: Tensor | null,
  y: Tensor,
  sizes: LinearSizes,
): void => {
  if (multipliesBlocks(context, weight)) {
    blockProduct(context, x, weight, { bias, addend, y, first: 0, count: sizes.n, m: sizes.m, k: sizes.k });
    return;
  }
  withFactor(context, weight, (w) => context.backend.run("linearForward", { x, w, bias, addend, y, ...sizes }));
};

/** Computes x·Wᵀ + b + addend without recording gradients. */
export const linearProduct = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  addend: Tensor | null,
  dtype?: DType,
): Tensor => {
  const sizes = linearSizes("linear", x, weights);
  const y = context.memory.allocate([...x.shape.slice(0, -1), sizes.n], dtype);
  multiply(context, x, weights, addend, y, sizes);
  return y;
};

/**
 * Computes y = x·Wᵀ + b. The bits of row i of y do not depend on the number of rows.
 * @param dtype type of y: the real type (default), or the backend's type of activations.
 */
export const linear = (context: Context, x: Tensor, weights: LinearWeights, dtype?: DType): Tensor => {
  const y = linearProduct(context, x, weights, null, dtype);
  context.tape?.record(y, [x, ...weightsOf(weights)], [], (dy) => linearGradients(context, x, weights, dy));
  return y;
};

/**
 * The result y = residual + dropout(x·Wᵀ + b) at the end of a branch, and the dropout mask for the backward pass. The
 * mask is a temporary tensor.
 */
export interface BranchEnd {
  readonly y: Tensor;
  readonly dropped: Dropped | null;
}

/** Temporaries from the end of a branch that the backward pass needs. */
export const savedOf = ({ dropped }: BranchEnd): readonly Tensor[] => (dropped === null ? [] : [dropped.kept]);

/** Computes residual + dropout(x·Wᵀ + b) without recording gradients. If `draw` is null, there is no dropout. */
export const addLinear = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  residual: Tensor,
  draw: Draw | null,
): BranchEnd => {
  const { backend, memory, tape } = context;
  const { weight, bias } = weights;
  const { m, n, k } = linearSizes("residual", x, weights);
  requireShape("residual", "the residual", residual, [...x.shape.slice(0, -1), n]);
  const y = memory.allocate(residual.shape);
  if (draw === null) {
    multiply(context, x, weights, residual, y, { m, n, k });
    return { y, dropped: null };
  }
  const kept = memory.allocate([wordsOf(m * n)], "int32");
  withFactor(context, weight, (w) =>
    backend.run("linearDropoutForward", { x, w, bias, addend: residual, y, m, n, k, kept, ...draw }),
  );
  if (tape !== null) return { y, dropped: { kept, p: draw.p } };
  memory.release(kept);
  return { y, dropped: null };
};

/** The gradient of a branch's input, and the gradient of x·Wᵀ + b. The caller must release both gradients. */
export interface BranchGradients {
  readonly dx: Tensor;
  readonly dBranch: Tensor;
}

/**
 * Computes the gradient of x and the gradient of x·Wᵀ + b at the end of a branch. The argument dy is the gradient of
 * the sum with the residual. If `factor` is given, the gradient of x is multiplied by it elementwise.
 */
export const branchInput = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  dy: Tensor,
  { dropped }: BranchEnd,
  factor: Tensor | null,
): BranchGradients => {
  const { backend, memory } = context;
  const dx = memory.allocate(x.shape, x.storage.dtype);
  const given = { dy, factor, dx, ...linearSizes("residual", x, weights) };
  if (dropped === null) {
    withFactor(context, weights.weight, (w) => backend.run("linearBackwardInput", { ...given, w, add: 0 }));
    return { dx, dBranch: memory.retain(dy) };
  }
  const dBranch = memory.allocate(dy.shape, backend.capabilities.activations);
  withFactor(context, weights.weight, (w) =>
    backend.run("linearDropoutBackwardInput", { ...given, w, ...dropped, dBranch }),
  );
  return { dx, dBranch };
};

/**
 * Adds the gradients of W and b at the end of a branch, and returns the gradient of x. The argument dy is the gradient
 * of the sum with the residual. If `factor` is given, the gradient of x is multiplied by it elementwise.
 */
export const branchGradients = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  dy: Tensor,
  end: BranchEnd,
  factor: Tensor | null,
): Tensor => {
  const { dx, dBranch } = branchInput(context, x, weights, dy, end, factor);
  weightGradients(context, x, weights, dBranch);
  context.memory.release(dBranch);
  return dx;
};

/**
 * Computes y = residual + dropout(x·Wᵀ + b). While training, each element of the product is dropped with probability
 * `p` in [0, 1).
 */
export const linearResidual = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  residual: Tensor,
  p: number,
): Tensor => {
  const { memory, tape } = context;
  const end = addLinear(context, x, weights, residual, drawDropout(context, p));
  tape?.record(end.y, [x, ...weightsOf(weights), residual], savedOf(end), (dy) => {
    tape.accumulate(residual, memory.retain(dy));
    tape.accumulate(x, branchGradients(context, x, weights, dy, end, null));
  });
  return end.y;
};
