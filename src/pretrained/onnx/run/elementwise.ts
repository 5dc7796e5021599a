/**
 * Operators that compute each element separately, from tensors that broadcast to one shape. This module also has
 * operators on the rows of the last axis.
 */
import { erfc } from "../../../backend/implementations/reference/normal.ts";
import type { RealArray } from "../../../core/tensors/dtype.ts";
import { formatShape, type Shape } from "../../../core/tensors/shape.ts";
import { type TensorType, typeOfNumber } from "../../../io/onnx/read.ts";
import { type Call, inputOf, numberOf, numbersOf, requireNumber, requireType, room } from "./call.ts";
import { broadcastShape, eachPlace, type Tensor } from "./tensor.ts";

/** Computes the only output of an operator from the node's inputs. */
type Compute = (call: Call) => Tensor;

const commonShape = (call: Call, shapes: readonly Shape[]): Shape => {
  const shape = broadcastShape(shapes);
  if (shape === undefined) {
    throw call.refuse("must have tensors with shapes that broadcast", shapes.map(formatShape).join(" and "));
  }
  return shape;
};

/** Operator that applies a function to each number. */
export const each =
  (compute: (value: number) => number): Compute =>
  (call) => {
    const x = inputOf(call, 0);
    requireType(call, x, ["float32"]);
    const data = room(call, "float32", x.shape);
    for (let i = 0; i < data.length; i++) data[i] = compute(x.data[i] as number);
    return { ...x, data };
  };

/**
 * Operator that applies a function to pairs of numbers. Both tensors have the same type. @param made type of the
 * result. Default: type of the inputs.
 */
export const both =
  (compute: (a: number, b: number) => number, types: readonly TensorType[] = ["float32"], made?: TensorType): Compute =>
  (call) => {
    const [a, b] = [inputOf(call, 0), inputOf(call, 1)];
    requireType(call, a, types);
    requireType(call, b, [a.type]);
    const shape = commonShape(call, [a.shape, b.shape]);
    const type = made ?? a.type;
    const data = room(call, type, shape);
    eachPlace(shape, [a.shape, b.shape], (at, count, places, steps) => {
      let [ofA, ofB] = places as [number, number];
      const [stepA, stepB] = steps as [number, number];
      for (let i = at; i < at + count; i++) {
        data[i] = compute(a.data[ofA] as number, b.data[ofB] as number);
        ofA += stepA;
        ofB += stepB;
      }
    });
    return { type, shape, data };
  };

/**
 * `Where`: selects each number from the second tensor if the first tensor is true there, and otherwise from the third
 * tensor.
 */
export const where: Compute = (call) => {
  const [is, yes, no] = [inputOf(call, 0), inputOf(call, 1), inputOf(call, 2)];
  requireType(call, is, ["bool"]);
  requireType(call, no, [yes.type]);
  const shapes = [is.shape, yes.shape, no.shape];
  const shape = commonShape(call, shapes);
  const data = room(call, yes.type, shape);
  eachPlace(shape, shapes, (at, count, [ofIs = 0, ofYes = 0, ofNo = 0], [byIs = 0, byYes = 0, byNo = 0]) => {
    for (let i = 0; i < count; i++) {
      const chosen = is.data[ofIs + i * byIs] === 0 ? no.data[ofNo + i * byNo] : yes.data[ofYes + i * byYes];
      data[at + i] = chosen as number;
    }
  });
  return { type: yes.type, shape, data };
};

export const cast: Compute = (call) => {
  const [x, number] = [inputOf(call, 0), numberOf(call, "to")];
  const type = typeOfNumber(number);
  if (type !== "float32" && type !== "uint8" && type !== "bool") {
    throw call.refuse("must make float32, uint8 or bool", type ?? `the type with number ${number}`);
  }
  const data = room(call, type, x.shape);
  for (let i = 0; i < data.length; i++) {
    const value = x.data[i] as number;
    // Numbers outside this range are refused, because runtimes convert them differently.
    if (type === "uint8" && !(value > -1 && value < 256))
      throw call.refuse("must cast numbers from 0 to 255", `${value}`);
    data[i] = type === "bool" ? Number(value !== 0) : value;
  }
  return { type, shape: x.shape, data };
};

/** erf(x), with an error below 1e-15. */
export const erf = (x: number): number => (x < 0 ? erfc(-x) - 1 : 1 - erfc(x));

/** Rounds to the nearest integer; halves round to even. */
export const roundEven = (x: number): number => {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
};

/** Length of a row: the size of the last axis. */
const rowOf = (call: Call, { shape }: Tensor): number => {
  const row = shape.at(-1);
  if (row === undefined) throw call.refuse("must have rows", "a single number");
  return row;
};

/** @throws if `axis` is not the last axis. */
const requireLast = (call: Call, { shape }: Tensor, axis: number): void => {
  if (axis !== -1 && axis !== shape.length - 1) throw call.refuse("must use the last axis", `axis ${axis}`);
};

const floatInput = (call: Call): Tensor => {
  const x = inputOf(call, 0);
  requireType(call, x, ["float32"]);
  return x;
};

/**
 * Operator that computes one number per row. @param compute gets the array `data` and the range of the row: from index
 * `from` to before `end`.
 */
export const reduce =
  (compute: (data: RealArray, from: number, end: number) => number): Compute =>
  (call) => {
    const x = floatInput(call);
    const axes = numbersOf(call, "axes");
    if (axes.length !== 1) throw call.refuse("axes must have one element", `[${axes.join(", ")}]`);
    requireLast(call, x, axes[0] as number);
    requireNumber(call, "keepdims", 1, 1);
    const row = rowOf(call, x);
    if (row === 0) throw call.refuse("must have rows of at least one number", formatShape(x.shape));
    const shape = [...x.shape.slice(0, -1), 1];
    const data = room(call, "float32", shape);
    for (let i = 0; i < data.length; i++) data[i] = compute(x.data as RealArray, i * row, (i + 1) * row);
    return { type: "float32", shape, data };
  };

export const largestOf = (data: RealArray, from: number, end: number): number => {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < end; i++) largest = Math.max(largest, data[i] as number);
  return largest;
};

export const meanOf = (data: RealArray, from: number, end: number): number => {
  let sum = 0;
  for (let i = from; i < end; i++) sum += data[i] as number;
  return sum / (end - from);
};

export const softmax: Compute = (call) => {
  const x = floatInput(call);
  requireLast(call, x, numberOf(call, "axis", -1));
  const row = rowOf(call, x);
  const data = room(call, "float32", x.shape);
  for (let from = 0; from < data.length; from += row) {
    const largest = largestOf(x.data as RealArray, from, from + row);
    let sum = 0;
    for (let i = from; i < from + row; i++) {
      const power = Math.exp((x.data[i] as number) - largest);
      data[i] = power;
      sum += power;
    }
    for (let i = from; i < from + row; i++) data[i] = (data[i] as number) / sum;
  }
  return { ...x, data };
};

export const layerNorm: Compute = (call) => {
  const x = floatInput(call);
  const [gamma, beta] = [inputOf(call, 1), inputOf(call, 2)];
  requireLast(call, x, numberOf(call, "axis", -1));
  const eps = numberOf(call, "epsilon", 1e-5);
  const row = rowOf(call, x);
  for (const part of [gamma, beta]) {
    requireType(call, part, ["float32"]);
    if (part.data.length !== row)
      throw call.refuse(`must have factors and offsets of ${row} numbers`, formatShape(part.shape));
  }
  const data = room(call, "float32", x.shape);
  for (let from = 0; from < data.length; from += row) {
    const mean = meanOf(x.data as RealArray, from, from + row);
    let squares = 0;
    for (let i = from; i < from + row; i++) squares += ((x.data[i] as number) - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / row + eps);
    for (let i = 0; i < row; i++) {
      const normal = ((x.data[from + i] as number) - mean) * scale;
      data[from + i] = normal * (gamma.data[i] as number) + (beta.data[i] as number);
    }
  }
  return { ...x, data };
};
