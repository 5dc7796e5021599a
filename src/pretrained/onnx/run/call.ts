/** Arguments of an operator: its input tensors, its attributes, and memory for results. */
import type { RealDType } from "../../../core/tensors/dtype.ts";
import { formatShape, type Shape } from "../../../core/tensors/shape.ts";
import type { ReadAttribute, TensorType } from "../../../io/onnx/read.ts";
import type { Refuse } from "../../../io/onnx/read-wire.ts";
import type { Products } from "./products.ts";
import { around, type Numbers, roomFor, type Tensor } from "./tensor.ts";

/** One execution of a node. */
export interface Call {
  /** Input tensors. A late input is a weight of the file that the operator loads itself, so its tensor has no data. */
  readonly inputs: readonly Tensor[];
  /** Reads the numbers of a late input. */
  readonly load: (place: number) => Promise<Numbers>;
  /** Names of the input tensors in the file. Undefined for an input that was computed. */
  readonly stored: readonly (string | undefined)[];
  /** Number of output tensors. */
  readonly outputs: number;
  readonly attributes: ReadonlyMap<string, ReadAttribute>;
  readonly real: RealDType;
  readonly products: Products;
  readonly refuse: Refuse;
}

/** A required input. The number of inputs has been checked before. */
export const inputOf = ({ inputs, refuse }: Call, place: number): Tensor => {
  const input = inputs[place];
  if (input === undefined) throw refuse(`must have an input ${place}`, `${inputs.length} inputs`);
  return input;
};

/** A number attribute. */
export const numberOf = ({ attributes, refuse }: Call, name: string, otherwise?: number): number => {
  const value = attributes.get(name) ?? otherwise;
  if (typeof value === "number") return value;
  throw refuse(`${name} must be a number`, value === undefined ? "nothing" : String(value));
};

/** @throws if an attribute or its default does not have the value `wanted`. */
export const requireNumber = (call: Call, name: string, wanted: number, otherwise: number): void => {
  const value = numberOf(call, name, otherwise);
  if (value !== wanted) throw call.refuse(`${name} must be ${wanted}`, String(value));
};

/** An attribute that is a list of numbers. */
export const numbersOf = ({ attributes, refuse }: Call, name: string): readonly number[] => {
  const value = attributes.get(name);
  if (typeof value === "object") return value;
  throw refuse(`${name} must be a list of numbers`, value === undefined ? "nothing" : String(value));
};

/** @throws if the tensor has another element type. */
export const requireType = ({ refuse }: Call, { type }: Tensor, types: readonly TensorType[]): void => {
  if (!types.includes(type)) throw refuse(`must read tensors of ${types.join(" or ")}`, type);
};

/** The integers of a vector or scalar. */
export const wholesOf = (call: Call, place: number): readonly number[] => {
  const input = inputOf(call, place);
  requireType(call, input, ["int64"]);
  if (input.shape.length > 1) throw call.refuse(`input ${place} must be a vector`, formatShape(input.shape));
  return [...input.data];
};

/** Number of elements before, along and after an axis of a shape. */
export const aroundAxis = ({ refuse }: Call, shape: Shape, axis: number) => {
  const found = around(shape, axis);
  if (found === undefined) throw refuse(`must have an axis ${axis}`, formatShape(shape));
  return found;
};

/** Memory for a tensor. */
export const room = ({ real, refuse }: Call, type: TensorType, shape: Shape): Numbers =>
  roomFor(type, shape, real, refuse);
