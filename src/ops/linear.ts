/**
 * y = x·Wᵀ + b, and at the end of a branch y = residual + dropout(x·Wᵀ + b)
 *
 *   x [.., K]   W [N, K]   b [N]   residual [.., N]   →   y [.., N]
 *   d = dropout(dy), the same draw     dx = d·W     dW = dᵀ·x     db = Σ over rows of d     dResidual = dy
 *
 * As torch.nn.functional.linear.
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

/** [N, K] and [N] or none. */
export interface LinearWeights {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
}

/** Rows, outputs and inputs of a product, as kernels take them. */
export interface LinearSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The sizes of x·Wᵀ + b, checked. */
export const linearSizes = (where: string, x: Tensor, { weight, bias }: LinearWeights): LinearSizes => {
  const [n, k] = weight.shape;
  if (n === undefined || k === undefined || weight.shape.length !== 2) {
    throw new ShapeError({ where, must: "the weight must be [N, K]", got: formatShape(weight.shape) });
  }
  const m = rowsOf(where, x, k);
  if (bias !== null) requireShape(where, "the bias", bias, [n]);
  return { m, n, k };
};

/** The inputs of a record: those that may want a gradient. */
export const weightsOf = ({ weight, bias }: LinearWeights): readonly Tensor[] =>
  bias === null ? [weight] : [weight, bias];

/** Hands on the gradients of x, W and b, from that of x·Wᵀ + b. */
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

/** Hands on the gradients of W and b alone. */
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

/** x·Wᵀ + b + addend, without its gradients. */
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
 * Row i of y has the same bits whatever the number of rows.
 * @param dtype of y: the real type, or the backend's for activations.
 */
export const linear = (context: Context, x: Tensor, weights: LinearWeights, dtype?: DType): Tensor => {
  const y = linearProduct(context, x, weights, null, dtype);
  context.tape?.record(y, [x, ...weightsOf(weights)], [], (dy) => linearGradients(context, x, weights, dy));
  return y;
};

/** The end of a branch: y = residual + dropout(x·Wᵀ + b), and what its gradient needs of dropout, a temporary. */
export interface BranchEnd {
  readonly y: Tensor;
  readonly dropped: Dropped | null;
}

/** The temporaries of a branch's end that the way back needs. */
export const savedOf = ({ dropped }: BranchEnd): readonly Tensor[] => (dropped === null ? [] : [dropped.kept]);

/** residual + dropout(x·Wᵀ + b), without its gradients; `draw` null: nothing drops. */
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
  requireShape("residual", "what is added to", residual, [...x.shape.slice(0, -1), n]);
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

/** The gradients in front of a branch's end: of its input, and of x·Wᵀ + b. Both are the caller's to release. */
export interface BranchGradients {
  readonly dx: Tensor;
  readonly dBranch: Tensor;
}

/**
 * The gradients of x, elementwise times `factor` where there is one, and of x·Wᵀ + b at a branch's end, from that of its sum
 * with the residual.
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
 * Hands on the gradients of W and b at a branch's end, from that of its sum with the residual, and returns that of x,
 * elementwise times `factor` where there is one.
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

/** y = residual + dropout(x·Wᵀ + b), each element of the product dropped with probability `p` in [0, 1) while training. */
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
