/** Tensors of a graph that is being executed: row-major, in host memory. */
import type { RealArray, RealDType } from "../../../core/tensors/dtype.ts";
import { formatShape, type Shape, sizeOf } from "../../../core/tensors/shape.ts";
import type { TensorType } from "../../../io/onnx/read.ts";
import type { Refuse } from "../../../io/onnx/read-wire.ts";

/**
 * Data of a tensor. float32 is stored in the backend's number format. int64 and int32 are stored in double precision.
 * Other types are stored as bytes.
 */
export type Numbers = RealArray | Uint8Array;

/** A tensor. Its data is read-only. */
export interface Tensor {
  readonly type: TensorType;
  readonly shape: Shape;
  readonly data: Numbers;
}

/** Maximum number of elements of a tensor: 2 GiB in float32. */
const mostNumbers = 2 ** 29;

/** Memory for the data of a tensor. @throws for a shape that is invalid or too large. */
export const roomFor = (type: TensorType, shape: Shape, real: RealDType, refuse: Refuse): Numbers => {
  const size = sizeOf(shape);
  if (!shape.every((one) => Number.isInteger(one) && one >= 0) || !(size <= mostNumbers)) {
    throw refuse(`must make a tensor of 0 to ${mostNumbers} numbers`, formatShape(shape));
  }
  switch (type) {
    case "float32":
      return real === "float32" ? new Float32Array(size) : new Float64Array(size);
    case "int64":
    case "int32":
      return new Float64Array(size);
    case "uint8":
    case "bool":
      return new Uint8Array(size);
    default:
      return type satisfies never;
  }
};

/** The shape that all these shapes broadcast to. Undefined if there is no such shape. */
export const broadcastShape = (shapes: readonly Shape[]): Shape | undefined => {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const found: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1).filter((size) => size !== 1);
    if (sizes.some((size) => size !== sizes[0])) return undefined;
    found.push(sizes[0] ?? 1);
  }
  return found;
};

/** Strides of a tensor of shape `from` when it is broadcast to `shape`. Broadcast axes have stride 0. */
const stepsOf = (from: Shape, shape: Shape): readonly number[] => {
  const steps = new Array<number>(shape.length).fill(0);
  let step = 1;
  for (let axis = from.length - 1; axis >= 0; axis--) {
    const size = from[axis] as number;
    if (size !== 1) steps[axis + shape.length - from.length] = step;
    step *= size;
  }
  return steps;
};

/**
 * Processes `count` consecutive elements of the result, starting at `at`. For each input, `places` gives the start
 * index and `steps` gives the stride.
 */
type Run = (at: number, count: number, places: readonly number[], steps: readonly number[]) => void;

interface Axis {
  size: number;
  readonly steps: readonly number[];
}

/** The axes, the innermost axis first. Axes that are contiguous in every tensor are merged. */
const joinedAxes = (shape: Shape, steps: readonly (readonly number[])[]): readonly Axis[] => {
  const axes: Axis[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    if (size === 1) continue;
    const own = steps.map((of) => of[axis] as number);
    const inner = axes.at(-1);
    if (inner !== undefined && own.every((step, i) => step === (inner.steps[i] as number) * inner.size)) {
      inner.size *= size;
    } else axes.push({ size, steps: own });
  }
  return axes;
};

/** Visits the elements of `shape` in order, for tensors with these strides. */
export const eachStep = (shape: Shape, steps: readonly (readonly number[])[], run: Run): void => {
  const total = sizeOf(shape);
  if (total === 0) return;
  const [inner = { size: 1, steps: steps.map(() => 0) }, ...outer] = joinedAxes(shape, steps);
  const places = steps.map(() => 0);
  const counts = outer.map(() => 0);
  for (let at = 0; at < total; at += inner.size) {
    run(at, inner.size, places, inner.steps);
    for (let axis = 0; axis < outer.length; axis++) {
      const { size, steps: own } = outer[axis] as Axis;
      const isDone = ++(counts[axis] as number) === size;
      const moves = isDone ? 1 - size : 1;
      for (let i = 0; i < places.length; i++) places[i] = (places[i] as number) + moves * (own[i] as number);
      if (!isDone) break;
      counts[axis] = 0;
    }
  }
};

/** Visits the elements of `shape` in order, for tensors that broadcast to it. */
export const eachPlace = (shape: Shape, froms: readonly Shape[], run: Run): void =>
  eachStep(
    shape,
    froms.map((from) => stepsOf(from, shape)),
    run,
  );

/** Number of elements before, along and after `axis`; undefined if the axis does not exist. */
export const around = (shape: Shape, axis: number) => {
  const place = axis < 0 ? axis + shape.length : axis;
  const size = shape[place];
  if (size === undefined) return undefined;
  return { place, before: sizeOf(shape.slice(0, place)), size, after: sizeOf(shape.slice(place + 1)) };
};
