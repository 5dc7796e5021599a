import type { Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../core/tensors/shape.ts";

/** x·scale in place, of float32. */
export const scaleBy = (backend: Backend, x: Tensor, scale: number): void => {
  if (scale === 1) return;
  backend.run("combine", { a: x, b: x, y: x, unreal: null, n: sizeOf(x.shape), alpha: scale, beta: 0 });
};

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

/** F of a tensor whose last axis, 2F, holds gates and then what they scale. */
export const gatedWidth = (where: string, { shape }: Tensor): number => {
  const width = shape.at(-1) ?? 0;
  if (width === 0 || width % 2 !== 0) {
    throw new ShapeError({
      where,
      must: "the last axis must hold gate and up, an even number of elements",
      got: formatShape(shape),
    });
  }
  return width / 2;
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
