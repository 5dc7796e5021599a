import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../core/tensors/shape.ts";

/** In place of a destination where no gradient is wanted: kernels that take null leave it out. */
export const nowhere = { gradient: null, add: 0 } as const;

/** Splits a shape into rows × last axis, after checking the last axis. */
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

/** Fails unless `tensor` has exactly `shape`. */
export const requireShape = (where: string, name: string, tensor: Tensor, shape: Shape): void => {
  if (tensor.shape.length !== shape.length || !tensor.shape.every((size, i) => size === shape[i])) {
    throw new ShapeError({
      where,
      must: `${name} must have shape ${formatShape(shape)}`,
      got: formatShape(tensor.shape),
    });
  }
};
