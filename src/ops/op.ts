import type { Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../core/tensors/shape.ts";

/** x ← x·scale, for float32. */
export const scaleBy = (backend: Backend, x: Tensor, scale: number): void => {
  if (scale === 1) return;
  backend.run("combine", { a: x, b: x, y: x, unreal: null, n: sizeOf(x.shape), alpha: scale, beta: 0 });
};

/** Destination of a gradient that is not needed. Kernels skip an output that is null. */
export const nowhere = { gradient: null, add: 0 } as const;

/** Checks the last axis and returns the number of rows: the product of the axes before it. */
export const rowsOf = (where: string, tensor: Tensor, width: number): number => {
  if (tensor.shape.at(-1) !== width) {
    throw new ShapeError({
      where,
      must: `the last axis must have ${width} elements`,
      got: formatShape(tensor.shape),
    });
  }
  return sizeOf(tensor.shape) / width;
};

/** Returns F for a tensor with 2F elements on its last axis: first gate, then up. */
export const gatedWidth = (where: string, { shape }: Tensor): number => {
  const width = shape.at(-1) ?? 0;
  if (width === 0 || width % 2 !== 0) {
    throw new ShapeError({
      where,
      must: "the last axis must contain gate and up, so its length must be even and not 0",
      got: formatShape(shape),
    });
  }
  return width / 2;
};

/** Throws if `tensor` does not have exactly `shape`. */
export const requireShape = (where: string, name: string, tensor: Tensor, shape: Shape): void => {
  if (tensor.shape.length !== shape.length || !tensor.shape.every((size, i) => size === shape[i])) {
    throw new ShapeError({
      where,
      must: `${name} must have shape ${formatShape(shape)}`,
      got: formatShape(tensor.shape),
    });
  }
};
