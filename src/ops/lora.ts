/**
 * y = x·Wᵀ + b + s·h·B̃ᵀ with h = dropout(x)·Aᵀ, and at the end of a branch y = residual + dropout(x·Wᵀ + b + s·h·B̃ᵀ)
 *
 *   x [.., K]   W [N, K]   b [N]   A [R, K]   B of each part [n, r]   →   y [.., N]
 *   dh = s·dy·B̃     dA = dhᵀ·dropout(x)     dB̃ = s·dyᵀ·h     dx = dy·W + dropout(dh·A), the same draw
 *
 * Source: LoRA (Hu et al. 2021). A layer may compute several targets at once, for example queries, keys and values. A is
 * then the stack of the targets' matrices A. B̃ [N, R] contains the matrix B of each target at the rows of the target's
 * outputs and the columns of the target's A. All other elements of B̃ are zero. A single product therefore computes h, and
 * a single product adds h to y. Targets of one layer read the same x, so they share one dropout draw.
 */
import type { Context } from "../autograd/context.ts";
import { slice, type Tensor } from "../autograd/tensor.ts";
import type { Backend, View } from "../backend/backend.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { type Draw, drawDropout } from "./dropout.ts";
import {
  addLinear,
  branchInput,
  type LinearWeights,
  linearGradients,
  linearProduct,
  savedOf,
  weightGradients,
  weightsOf,
} from "./linear.ts";
import { requireShape, rowsOf, scaleBy } from "./op.ts";

/** The outputs of a layer that one matrix B changes. */
export interface LoraOutputs {
  /** Index of the first of these outputs. */
  readonly first: number;
  /** [n, r] */
  readonly b: Tensor;
}

/** Matrices in the form that products read. */
export interface LoraFactors {
  /** [R, K] */
  readonly a: Tensor;
  /** B̃, [N, R] */
  readonly b: Tensor;
}

/** The adapters of a layer. */
export interface LoraWeights {
  /** [R, K] */
  readonly a: Tensor;
  /** The matrices B, in the order of the rows of A. */
  readonly parts: readonly LoraOutputs[];
  /** Returns up-to-date matrices in the form that products read. */
  factors(): LoraFactors;
  /** alpha / rank */
  readonly scale: number;
  /** Dropout probability of the input of A, in [0, 1). */
  readonly dropout: number;
}

/** Copies each B to its rows and columns in B̃. All other elements of B̃ must be zero already. */
export const placeOutputs = (backend: Backend, parts: readonly LoraOutputs[], to: View, width: number): void => {
  let column = 0;
  for (const { first, b } of parts) {
    const [rows = 0, r = 0] = b.shape;
    const y = { storage: to.storage, offset: to.offset + first * width + column };
    backend.run("copyRows", { x: b, y, rows, width: r, xStride: r, yStride: width });
    column += r;
  }
};

/** Whether B̃ consists of a single matrix B. */
export const isWhole = (parts: readonly LoraOutputs[], outputs: number): boolean =>
  parts.length === 1 && parts[0]?.b.shape[0] === outputs;

/** The intermediate values dropout(x) and s·h, and the random draw. */
interface Low {
  readonly x: Tensor;
  readonly h: Tensor;
  readonly draw: Draw | null;
}

const drop = (context: Context, x: Tensor, y: Tensor, draw: Draw): Tensor => {
  context.backend.run("dropout", { x, y, n: sizeOf(x.shape), ...draw });
  return y;
};

const goDown = (context: Context, x: Tensor, { scale, dropout }: LoraWeights, { a }: LoraFactors): Low => {
  const { backend, memory } = context;
  const [width = 0, k = 0] = a.shape;
  const m = rowsOf("lora", x, k);
  const draw = drawDropout(context, dropout);
  const input = draw === null ? memory.retain(x) : drop(context, x, memory.allocate(x.shape, x.storage.dtype), draw);
  const h = memory.allocate([...x.shape.slice(0, -1), width]);
  backend.run("linearForward", { x: input, w: a, bias: null, addend: null, y: h, m, n: width, k });
  scaleBy(backend, h, scale);
  return { x: input, h, draw };
};

const releaseLow = ({ memory }: Context, { x, h }: Low): void => {
  memory.release(x);
  memory.release(h);
};

/** Adds the gradient of each B. dy is the gradient of the layer's outputs. */
const outputGradients = (context: Context, h: Tensor, { parts }: LoraWeights, dy: Tensor): void => {
  const { backend, memory, tape } = context;
  const n = dy.shape.at(-1) ?? 0;
  const k = h.shape.at(-1) ?? 0;
  const m = rowsOf("lora", h, k);
  const given = { dy, x: h, dBias: null, m, n, k };
  if (isWhole(parts, n)) {
    const to = tape?.destination(parts[0]?.b as Tensor) ?? null;
    if (to !== null) backend.run("linearBackwardWeight", { ...given, dw: to.gradient, add: to.add });
    return;
  }
  const all = memory.allocate([n, k]);
  backend.run("linearBackwardWeight", { ...given, dw: all, add: 0 });
  let column = 0;
  for (const { first, b } of parts) {
    const [rows = 0, r = 0] = b.shape;
    const part = memory.allocate(b.shape);
    const x = slice(all, first * k + column, [(rows - 1) * k + r]);
    backend.run("copyRows", { x, y: part, rows, width: r, xStride: k, yStride: r });
    tape?.accumulate(b, part);
    column += r;
  }
  memory.release(all);
};

/** Adds the gradients of A, of each B and of x. dy is the gradient of the layer's outputs. */
const lowGradients = (context: Context, x: Tensor, low: Low, lora: LoraWeights, dy: Tensor): void => {
  const { backend, memory, tape } = context;
  const { a, b } = lora.factors();
  const [n = 0, width = 0] = b.shape;
  const k = a.shape[1] ?? 0;
  const m = rowsOf("lora", x, k);
  outputGradients(context, low.h, lora, dy);
  const dh = memory.allocate(low.h.shape);
  backend.run("linearBackwardInput", { dy, w: b, factor: null, dx: dh, m, n, k: width, add: 0 });
  scaleBy(backend, dh, lora.scale);
  const toA = tape?.destination(lora.a) ?? null;
  if (toA !== null) {
    const to = { dw: toA.gradient, dBias: null, add: toA.add };
    backend.run("linearBackwardWeight", { dy: dh, x: low.x, ...to, m, n: width, k });
  }
  const given = { dy: dh, w: a, factor: null, m, n: width, k };
  if (low.draw === null) {
    const to = tape?.destination(x) ?? null;
    if (to !== null) backend.run("linearBackwardInput", { ...given, dx: to.gradient, add: to.add });
  } else if (tape?.tracks(x) === true) {
    const dx = memory.allocate(x.shape, x.storage.dtype);
    backend.run("linearBackwardInput", { ...given, dx, add: 0 });
    tape.accumulate(x, drop(context, dx, dx, low.draw));
  }
  memory.release(dh);
};

const trained = ({ a, parts }: LoraWeights): readonly Tensor[] => [a, ...parts.map(({ b }) => b)];

/** @throws ShapeError if the shapes of A and B do not fit the layer. */
const requireFactors = ({ a, b }: LoraFactors, { weight }: LinearWeights): void => {
  const [n = 0, k = 0] = weight.shape;
  const width = a.shape[0] ?? 0;
  requireShape("lora", "A", a, [width, k]);
  requireShape("lora", "B", b, [n, width]);
};

/**
 * x·Wᵀ + b + s·dropout(x)·Aᵀ·B̃ᵀ. @param dtype type of y: the real type (default), or the backend's type of
 * activations.
 */
export const loraLinear = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  lora: LoraWeights,
  dtype?: DType,
): Tensor => {
  const { memory, tape } = context;
  const factors = lora.factors();
  requireFactors(factors, weights);
  const low = goDown(context, x, lora, factors);
  const added = linearProduct(context, low.h, { weight: factors.b, bias: null }, null);
  const y = linearProduct(context, x, weights, added, dtype);
  memory.release(added);
  if (tape === null) {
    releaseLow(context, low);
    return y;
  }
  tape.record(y, [x, ...weightsOf(weights), ...trained(lora)], [low.x, low.h], (dy) => {
    linearGradients(context, x, weights, dy);
    lowGradients(context, x, low, lora, dy);
  });
  return y;
};

/**
 * residual + dropout(x·Wᵀ + b + s·dropout(x)·Aᵀ·B̃ᵀ). While training, the outer dropout has probability `p` in [0, 1).
 */
export const loraResidual = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  lora: LoraWeights,
  residual: Tensor,
  p: number,
): Tensor => {
  const { memory, tape } = context;
  const factors = lora.factors();
  requireFactors(factors, weights);
  const low = goDown(context, x, lora, factors);
  const draw = drawDropout(context, p);
  // Both terms use the same draw, so the same elements are dropped in both terms.
  const added = addLinear(context, low.h, { weight: factors.b, bias: null }, residual, draw);
  for (const kept of savedOf(added)) memory.release(kept);
  const end = addLinear(context, x, weights, added.y, draw);
  memory.release(added.y);
  if (tape === null) {
    releaseLow(context, low);
    return end.y;
  }
  const inputs = [x, ...weightsOf(weights), ...trained(lora), residual];
  tape.record(end.y, inputs, [low.x, low.h, ...savedOf(end)], (dy) => {
    tape.accumulate(residual, memory.retain(dy));
    const { dx, dBranch } = branchInput(context, x, weights, dy, end, null);
    weightGradients(context, x, weights, dBranch);
    tape.accumulate(x, dx);
    lowGradients(context, x, low, lora, dBranch);
    memory.release(dBranch);
  });
  return end.y;
};
