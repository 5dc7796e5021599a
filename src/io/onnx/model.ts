/**
 * Writes models in the ONNX format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). A model is a graph of
 * operators with its tensors. The schema defines the field numbers.
 */
import type { Shape } from "../../core/tensors/shape.ts";
import { sizeOf } from "../../core/tensors/shape.ts";
import { floatField, type LateBytes, type Part, partsField, textField, wholeField } from "./wire.ts";

/** Element types, with their numbers in the schema and their sizes in bytes. */
const elementTypes = {
  float32: { number: 1, bytes: 4 },
  uint8: { number: 2, bytes: 1 },
  int64: { number: 7, bytes: 8 },
} as const;
export type ElementType = keyof typeof elementTypes;

/** Result types of the operator `Cast`, with their numbers in the schema. */
export const castTypes = { float32: 1, uint8: 2, bool: 9 } as const;

/** A tensor of the file. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  /** Row-major shape; [] is a scalar. */
  readonly shape: Shape;
  /** Yields the little-endian bytes. The writer calls this function when it writes the tensor. */
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** Place of a tensor in an external data file. */
export interface Outside {
  readonly file: string;
  readonly offset: number;
}

/** Attribute of an operator. */
export type Attribute =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "whole"; readonly value: number }
  | { readonly kind: "wholes"; readonly value: readonly number[] };

/** An operator with the names of its input and output tensors. */
export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output of the graph. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  /** Sizes of the axes. If a size differs between calls, the axis has a name instead of a number. */
  readonly shape: readonly (number | string)[];
}

/** A graph. Each node comes after the nodes that compute its inputs. */
export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/**
 * Version of the default operators. This is the first operator version with LayerNormalization. ONNX Runtime supports
 * it since release 1.12.
 */
export const operatorSet = 17;
/** Version of the ONNX schema for this operator version. */
const schemaVersion = 8;

/** Size of a tensor in bytes. */
export const bytesOfTensor = ({ type, shape }: Pick<OnnxTensor, "type" | "shape">): number =>
  sizeOf(shape) * elementTypes[type].bytes;

const kinds = { float: 1, whole: 2, wholes: 7 } as const satisfies Record<Attribute["kind"], number>;

const attributeParts = (name: string, attribute: Attribute): readonly Part[] => {
  const head = [...textField(1, name), wholeField(20, kinds[attribute.kind])];
  switch (attribute.kind) {
    case "float":
      return [...head, floatField(2, attribute.value)];
    case "whole":
      return [...head, wholeField(3, attribute.value)];
    case "wholes":
      return [...head, ...attribute.value.map((value) => wholeField(8, value))];
    default:
      return attribute satisfies never;
  }
};

const nodeParts = ({ op, name, inputs, outputs, attributes }: OnnxNode): readonly Part[] => [
  ...inputs.flatMap((input) => textField(1, input)),
  ...outputs.flatMap((output) => textField(2, output)),
  ...textField(3, name),
  ...textField(4, op),
  ...Object.entries(attributes).flatMap(([key, value]) => partsField(5, attributeParts(key, value))),
];

const tensorParts = (tensor: OnnxTensor, outside: Outside | undefined): readonly Part[] => {
  const { name, type, shape, pieces } = tensor;
  const length = bytesOfTensor(tensor);
  const head = [...shape.map((size) => wholeField(1, size)), wholeField(2, elementTypes[type].number)];
  const named = [...head, ...textField(8, name)];
  if (outside === undefined) {
    const bytes: LateBytes = { length, pieces };
    return [...named, ...partsField(9, [bytes])];
  }
  const entries = { location: outside.file, offset: String(outside.offset), length: String(length) };
  const pairs = Object.entries(entries).flatMap(([key, value]) =>
    partsField(13, [...textField(1, key), ...textField(2, value)]),
  );
  return [...named, ...pairs, wholeField(14, 1)];
};

const sizeParts = (size: number | string): readonly Part[] =>
  typeof size === "number" ? [wholeField(1, size)] : textField(2, size);

const valueParts = ({ name, type, shape }: OnnxValue): readonly Part[] => {
  const sizes = shape.flatMap((size) => partsField(1, sizeParts(size)));
  const tensorType = [wholeField(1, elementTypes[type].number), ...partsField(2, sizes)];
  return [...textField(1, name), ...partsField(2, partsField(1, tensorType))];
};

/**
 * Returns the parts of a model file.
 * @param outside places of the tensors in external data files.
 */
export const modelParts = (
  { name, nodes, tensors, inputs, outputs }: OnnxGraph,
  outside: ReadonlyMap<OnnxTensor, Outside>,
): readonly Part[] => {
  const graph = [
    ...nodes.flatMap((node) => partsField(1, nodeParts(node))),
    ...textField(2, name),
    ...tensors.flatMap((tensor) => partsField(5, tensorParts(tensor, outside.get(tensor)))),
    ...inputs.flatMap((input) => partsField(11, valueParts(input))),
    ...outputs.flatMap((output) => partsField(12, valueParts(output))),
  ];
  return [
    wholeField(1, schemaVersion),
    ...textField(2, "foretoken"),
    ...partsField(7, graph),
    ...partsField(8, [...textField(1, ""), wholeField(2, operatorSet)]),
  ];
};
