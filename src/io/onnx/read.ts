/**
 * Reads models in the ONNX format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). The nodes and the tensors'
 * sizes are read first. The data of a tensor is read only when needed. The schema defines the field numbers.
 */
import { CheckpointError } from "../../core/errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../../core/tensors/shape.ts";
import type { ByteSource } from "../byte-source.ts";
import { type Message, parseMessage, type Refuse, type Span, type Walk, walker } from "./read-wire.ts";

/** Element types, by their numbers in the schema. */
const types = new Map([
  [1, "float32"],
  [2, "uint8"],
  [6, "int32"],
  [7, "int64"],
  [9, "bool"],
] as const);
/** Element type of a tensor. */
export type TensorType = typeof types extends Map<number, infer T> ? T : never;

/** Element types of stored tensors, with their sizes in bytes. */
const storedBytes: Readonly<Partial<Record<TensorType, number>>> = { float32: 4, uint8: 1, int64: 8 };

/** Returns the element type with this number, or undefined if the type is not supported. */
export const typeOfNumber = (number: number): TensorType | undefined =>
  [...types].find(([known]) => known === number)?.[1];

/** A tensor with data in a file. */
export interface StoredTensor {
  readonly type: TensorType;
  readonly shape: Shape;
  /** Reads the little-endian bytes. */
  readonly read: () => Promise<Uint8Array>;
}

/** An attribute: a number, a list of numbers, or "other" if the type is not supported. */
export type ReadAttribute = number | readonly number[] | "other";

/** An operator with the names of its input and output tensors. */
export interface ReadNode {
  readonly op: string;
  /** Domain of the operator. "" means ONNX's default operators. */
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, ReadAttribute>;
}

/** An input or output of the graph. */
export interface ReadValue {
  readonly name: string;
  readonly type: TensorType;
  /** Sizes of the axes. If a size differs between calls, the axis has a name instead of a number. */
  readonly shape: readonly (number | string)[];
}

/** The model in a file. */
export interface ReadModel {
  readonly schemaVersion: number;
  readonly operatorSets: readonly { readonly domain: string; readonly version: number }[];
  readonly nodes: readonly ReadNode[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly inputs: readonly ReadValue[];
  readonly outputs: readonly ReadValue[];
}

/** Bytes of a field with messages, strings or bytes. */
const bytesAt = (message: Message, field: number, refuse: Refuse): readonly Uint8Array[] =>
  (message.get(field) ?? []).map((value) => {
    if (value instanceof Uint8Array) return value;
    throw refuse(`field ${field} must hold bytes`, String(value));
  });

const wholeOf = (value: bigint, refuse: Refuse): number => {
  const whole = Number(BigInt.asIntN(64, value));
  if (Number.isSafeInteger(whole)) return whole;
  throw refuse("numbers must be below 2^53", String(value));
};

/**
 * Reads the integers of a repeated field. The message has either one integer per field, or all integers packed into one
 * field.
 */
const wholesAt = (message: Message, field: number, refuse: Refuse): readonly number[] =>
  (message.get(field) ?? []).flatMap((value) => {
    if (typeof value === "bigint") return [wholeOf(value, refuse)];
    const numbers: number[] = [];
    for (let [at, number, shift] = [0, 0n, 0n]; at < value.length; at++) {
      number |= BigInt((value[at] as number) & 127) << shift;
      shift += 7n;
      if ((value[at] as number) >= 128) continue;
      numbers.push(wholeOf(BigInt.asUintN(64, number), refuse));
      [number, shift] = [0n, 0n];
    }
    return numbers;
  });

const textsAt = (message: Message, field: number, refuse: Refuse): readonly string[] =>
  bytesAt(message, field, refuse).map((bytes) => {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw refuse(`field ${field} must hold UTF-8`, `${bytes.length} other bytes`);
    }
  });

const messagesAt = (message: Message, field: number, refuse: Refuse): readonly Message[] =>
  bytesAt(message, field, refuse).map((bytes) => parseMessage(bytes, refuse));

const only = <T>(values: readonly T[], what: string, refuse: Refuse): T => {
  const [value] = values;
  if (value !== undefined && values.length === 1) return value;
  throw refuse(`${what} must occur exactly once`, values.length === 0 ? "nothing" : `${values.length} times`);
};

const typeOf = (number: number, name: string, refuse: Refuse): TensorType => {
  const type = typeOfNumber(number);
  if (type !== undefined) return type;
  throw refuse(
    `${name} must have the element type ${[...types.values()].join(", ")}`,
    `the type with number ${number}`,
  );
};

const attributeOf = (message: Message, refuse: Refuse): readonly [string, ReadAttribute] => {
  const name = only(textsAt(message, 1, refuse), "the name of an attribute", refuse);
  switch (only(wholesAt(message, 20, refuse), `the type of ${name}`, refuse)) {
    case 1: {
      const bytes = only(bytesAt(message, 2, refuse), name, refuse);
      if (bytes.length !== 4) throw refuse(`${name} must be a float32`, `${bytes.length} bytes`);
      return [name, new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true)];
    }
    case 2:
      return [name, only(wholesAt(message, 3, refuse), name, refuse)];
    case 7:
      return [name, wholesAt(message, 8, refuse)];
    default:
      return [name, "other"];
  }
};

/** Value of a field that may be missing. */
const optional = <T>(values: readonly T[], otherwise: T, what: string, refuse: Refuse): T =>
  values.length === 0 ? otherwise : only(values, what, refuse);

const nodeOf = (message: Message, refuse: Refuse): ReadNode => {
  const op = only(textsAt(message, 4, refuse), "a node's operator", refuse);
  return {
    op,
    domain: optional(textsAt(message, 7, refuse), "", "a node's domain", refuse),
    name: optional(textsAt(message, 3, refuse), op, "a node's name", refuse),
    ...{ inputs: textsAt(message, 1, refuse), outputs: textsAt(message, 2, refuse) },
    attributes: new Map(messagesAt(message, 5, refuse).map((attribute) => attributeOf(attribute, refuse))),
  };
};

const graphValueOf = (message: Message, refuse: Refuse): ReadValue => {
  const name = only(textsAt(message, 1, refuse), "the name of an input or an output", refuse);
  const of = (part: Message, field: number): Message => only(messagesAt(part, field, refuse), name, refuse);
  const tensor = of(of(message, 2), 1);
  const sizes = messagesAt(of(tensor, 2), 1, refuse);
  return {
    name,
    type: typeOf(only(wholesAt(tensor, 1, refuse), `the type of ${name}`, refuse), name, refuse),
    shape: sizes.map((size) => wholesAt(size, 1, refuse)[0] ?? optional(textsAt(size, 2, refuse), "?", name, refuse)),
  };
};

/** Number of the field with a tensor's bytes. These bytes are not read with the model. */
const bytesField = 9;

/** The external data file of a tensor, with the tensor's range in the file. */
const outsideOf = (
  message: Message,
  name: string,
  beside: ReadonlyMap<string, ByteSource>,
  refuse: Refuse,
): readonly [ByteSource, Span] => {
  const entries = new Map(
    messagesAt(message, 13, refuse).map((pair) => {
      const text = (field: number): string =>
        only(textsAt(pair, field, refuse), `the data location of ${name}`, refuse);
      return [text(1), text(2)] as const;
    }),
  );
  const location = entries.get("location") ?? "";
  const source = beside.get(location);
  if (source === undefined) throw refuse(`${name} must be in a file next to the model`, JSON.stringify(location));
  const [start, length] = ["offset", "length"].map((key) => {
    const text = entries.get(key) ?? (key === "offset" ? "0" : "");
    if (/^\d{1,15}$/u.test(text)) return Number(text);
    throw refuse(`the ${key} of ${name} must be a whole number`, JSON.stringify(text));
  }) as [number, number];
  return [source, { start, end: start + length }];
};

/** Where a model is read from. */
interface Place {
  readonly source: ByteSource;
  readonly beside: ReadonlyMap<string, ByteSource>;
  readonly walk: Walk;
  readonly refuse: Refuse;
}

const tensorOf = async (
  span: Span,
  { source, beside, walk, refuse }: Place,
): Promise<readonly [string, StoredTensor]> => {
  const found = new Map<number, (bigint | Uint8Array)[]>();
  const own: Span[] = [];
  for await (const { field, value } of walk(span)) {
    if (field === bytesField && typeof value !== "bigint") own.push(value);
    else {
      const read = typeof value === "bigint" ? value : await source.read(value.start, value.end - value.start);
      found.set(field, [...(found.get(field) ?? []), read]);
    }
  }
  const name = only(textsAt(found, 8, refuse), "the name of a tensor", refuse);
  const type = typeOf(only(wholesAt(found, 2, refuse), `the type of ${name}`, refuse), name, refuse);
  const bytes = storedBytes[type];
  if (bytes === undefined) throw refuse(`tensor ${name} must be of float32, uint8 or int64`, type);
  const shape = wholesAt(found, 1, refuse);
  const isOutside = optional(wholesAt(found, 14, refuse), 0, `the data location of ${name}`, refuse) === 1;
  const [from, { start, end }] = isOutside
    ? outsideOf(found, name, beside, refuse)
    : [source, only(own, `the bytes of ${name}`, refuse)];
  const length = shape.some((size) => size < 0) ? -1 : sizeOf(shape) * bytes;
  if (end - start !== length) {
    throw refuse(
      `tensor ${name} must have the number of bytes that ${formatShape(shape)} ${type} needs`,
      `${end - start}`,
    );
  }
  if (end > from.size)
    throw refuse(
      `tensor ${name} must end within its file`,
      `a tensor that ends at byte ${end} of a file of ${from.size} bytes`,
    );
  return [name, { type, shape, read: () => from.read(start, length) }];
};

/** Parts of a graph that are not supported, by field number. */
const otherParts: Readonly<Record<number, string>> = { 15: "sparse tensors" };

const graphOf = async (span: Span, place: Place) => {
  const { source, walk, refuse } = place;
  const nodes: ReadNode[] = [];
  const tensors = new Map<string, StoredTensor>();
  const [inputs, outputs]: [ReadValue[], ReadValue[]] = [[], []];
  for await (const { field, value } of walk(span)) {
    const other = otherParts[field];
    if (other !== undefined) throw refuse("a graph must have only nodes and dense tensors", other);
    if (typeof value === "bigint") continue;
    if (field === 5) {
      const [name, tensor] = await tensorOf(value, place);
      if (tensors.has(name)) throw refuse("every tensor must have its own name", `${name} twice`);
      tensors.set(name, tensor);
    } else if (field === 1 || field === 11 || field === 12) {
      const message = parseMessage(await source.read(value.start, value.end - value.start), refuse);
      if (field === 1) nodes.push(nodeOf(message, refuse));
      else (field === 11 ? inputs : outputs).push(graphValueOf(message, refuse));
    }
  }
  return { nodes, tensors, inputs, outputs };
};

/**
 * Reads a model, except the data of its tensors.
 * @param source the model file. The file must stay open while tensors are read.
 * @param where the file's name, for errors.
 * @param beside external data files, by name.
 * @throws CheckpointError for a file that is damaged or is not an ONNX model.
 */
export const readOnnx = async (
  source: ByteSource,
  where: string,
  beside: ReadonlyMap<string, ByteSource> = new Map(),
): Promise<ReadModel> => {
  const refuse: Refuse = (must, got) => new CheckpointError({ where, must, got });
  const walk = walker(source, refuse);
  const small = new Map<number, (bigint | Uint8Array)[]>();
  const graphs: Span[] = [];
  for await (const { field, value } of walk({ start: 0, end: source.size })) {
    if (field === 25) throw refuse("a model must have only nodes with known operators", "functions of its own");
    if (field === 7 && typeof value !== "bigint") graphs.push(value);
    else if (field === 1 || field === 8) {
      const read = typeof value === "bigint" ? value : await source.read(value.start, value.end - value.start);
      small.set(field, [...(small.get(field) ?? []), read]);
    }
  }
  const graph = only(graphs, "the graph of an ONNX file", refuse);
  return {
    schemaVersion: only(wholesAt(small, 1, refuse), "the version of the schema", refuse),
    operatorSets: messagesAt(small, 8, refuse).map((set) => ({
      domain: optional(textsAt(set, 1, refuse), "", "a domain of operators", refuse),
      version: only(wholesAt(set, 2, refuse), "the version of operators", refuse),
    })),
    ...(await graphOf(graph, { source, beside, walk, refuse })),
  };
};
