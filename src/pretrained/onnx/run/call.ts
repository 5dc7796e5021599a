/** What an operator gets when it runs: its tensors and attributes, and room for results. */
import type { RealDType } from "../../../core/tensors/dtype.ts";
import { formatShape, type Shape } from "../../../core/tensors/shape.ts";
import type { ReadAttribute, TensorType } from "../../../io/onnx/read.ts";
import type { Refuse } from "../../../io/onnx/read-wire.ts";
import type { Products } from "./products.ts";
import { around, type Numbers, roomFor, type Tensor } from "./tensor.ts";

/** A node that runs. */
export interface Call {
  /** Tensors of the file that the operator reads late have no numbers here. */
  readonly inputs: readonly Tensor[];
  /** The numbers of an input that is read late. */
  readonly load: (place: number) => Promise<Numbers>;
  /** Name of the file's tensor that an input is; undefined: it was computed. */
  readonly stored: readonly (string | undefined)[];
  /** Number of tensors to make. */
  readonly outputs: number;
  readonly attributes: ReadonlyMap<string, ReadAttribute>;
  readonly real: RealDType;
  readonly products: Products;
  readonly refuse: Refuse;
}

/** An input that must be there: the number of inputs was checked before. */
export const inputOf = ({ inputs, refuse }: Call, place: number): Tensor => {
  const input = inputs[place];
  if (input === undefined) throw refuse(`must have an input ${place}`, `${inputs.length} inputs`);
  return input;
};

/** An attribute that is a number. */
export const numberOf = ({ attributes, refuse }: Call, name: string, otherwise?: number): number => {
  const value = attributes.get(name) ?? otherwise;
  if (typeof value === "number") return value;
  throw refuse(`${name} must be a number`, value === undefined ? "nothing" : String(value));
};

/** @throws unless an attribute, or its default, has this value. */
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

/** @throws unless the tensor has one of these element types. */
export const requireType = ({ refuse }: Call, { type }: Tensor, types: readonly TensorType[]): void => {
  if (!types.includes(type)) throw refuse(`must read tensors of ${types.join(" or ")}`, type);
};

/** The whole numbers of a vector or a scalar. */
export const wholesOf = (call: Call, place: number): readonly number[] => {
  const input = inputOf(call, place);
  requireType(call, input, ["int64"]);
  if (input.shape.length > 1) throw call.refuse(`input ${place} must be a vector`, formatShape(input.shape));
  return [...input.data];
};

/** The parts of a shape around an axis. */
export const aroundAxis = ({ refuse }: Call, shape: Shape, axis: number) => {
  const found = around(shape, axis);
  if (found === undefined) throw refuse(`must have an axis ${axis}`, formatShape(shape));
  return found;
};

/** Room for a tensor. */
export const room = ({ real, refuse }: Call, type: TensorType, shape: Shape): Numbers =>
  roomFor(type, shape, real, refuse);
