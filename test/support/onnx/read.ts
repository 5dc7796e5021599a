/** Reads a file of ONNX by the numbers of fields in the published schema, without the code that writes it. */

type Value = bigint | Uint8Array;
type Message = ReadonlyMap<number, readonly Value[]>;

const parse = (bytes: Uint8Array): Message => {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("a number ends early");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error("a field ends early");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const value = wire === 0 ? varint() : wire === 2 ? take(Number(varint())) : wire === 5 ? take(4) : undefined;
    if (value === undefined) throw new Error(`wire type ${wire}`);
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
};

const bytesAt = (message: Message, field: number): readonly Uint8Array[] =>
  (message.get(field) ?? []).map((value) => {
    if (value instanceof Uint8Array) return value;
    throw new Error(`field ${field} must be bytes`);
  });
const numbersAt = (message: Message, field: number): readonly number[] =>
  (message.get(field) ?? []).map((value) => {
    if (typeof value === "bigint") return Number(BigInt.asIntN(64, value));
    throw new Error(`field ${field} must be a number`);
  });
const textsAt = (message: Message, field: number): readonly string[] =>
  bytesAt(message, field).map((value) => new TextDecoder("utf-8", { fatal: true }).decode(value));
const messagesAt = (message: Message, field: number): readonly Message[] => bytesAt(message, field).map(parse);
const only = <T>(values: readonly T[]): T => {
  const [value] = values;
  if (value === undefined || values.length !== 1) throw new Error(`${values.length} values in place of one`);
  return value;
};

/** Element types by the schema's numbers. */
const types = new Map([
  [1, "float32"],
  [2, "uint8"],
  [6, "int32"],
  [7, "int64"],
  [9, "bool"],
] as const);
export type TypeName = typeof types extends Map<number, infer T> ? T : never;
export const typeOf = (number: number): TypeName => {
  const type = types.get(number as 1);
  if (type === undefined) throw new Error(`element type ${number}`);
  return type;
};

/** A tensor whose numbers, of whichever type, are in double precision. */
export interface Tensor {
  readonly type: TypeName;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface ReadNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
}

export interface ReadValue {
  readonly name: string;
  readonly type: TypeName;
  readonly shape: readonly (number | string)[];
}

export interface ReadModel {
  readonly schemaVersion: number;
  readonly operatorSets: readonly { readonly domain: string; readonly version: number }[];
  readonly nodes: readonly ReadNode[];
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly inputs: readonly ReadValue[];
  readonly outputs: readonly ReadValue[];
}

const numbersOf = (type: TypeName, bytes: Uint8Array): Float64Array => {
  const own = Uint8Array.from(bytes).buffer;
  switch (type) {
    case "float32":
      return Float64Array.from(new Float32Array(own));
    case "int64":
      return Float64Array.from(new BigInt64Array(own), Number);
    case "uint8":
      return Float64Array.from(bytes);
    default:
      throw new Error(`no tensor of ${type} in a file`);
  }
};

const attributeOf = (message: Message): readonly [string, number | readonly number[]] => {
  const name = only(textsAt(message, 1));
  switch (only(numbersAt(message, 20))) {
    case 1: {
      const bytes = Uint8Array.from(only(bytesAt(message, 2)));
      return [name, new Float32Array(bytes.buffer)[0] ?? 0];
    }
    case 2:
      return [name, only(numbersAt(message, 3))];
    case 7:
      return [name, numbersAt(message, 8)];
    default:
      throw new Error(`the type of ${name}`);
  }
};

const nodeOf = (message: Message): ReadNode => ({
  ...{ op: only(textsAt(message, 4)), name: only(textsAt(message, 3)) },
  ...{ inputs: textsAt(message, 1), outputs: textsAt(message, 2) },
  attributes: Object.fromEntries(messagesAt(message, 5).map(attributeOf)),
});

const graphValueOf = (message: Message): ReadValue => {
  const tensor = only(messagesAt(only(messagesAt(message, 2)), 1));
  const sizes = messagesAt(only(messagesAt(tensor, 2)), 1);
  return {
    name: only(textsAt(message, 1)),
    type: typeOf(only(numbersAt(tensor, 1))),
    shape: sizes.map((size) => numbersAt(size, 1)[0] ?? only(textsAt(size, 2))),
  };
};

const tensorOf = (message: Message, files: Readonly<Record<string, Uint8Array>>): readonly [string, Tensor] => {
  const [name, type, shape] = [only(textsAt(message, 8)), typeOf(only(numbersAt(message, 2))), numbersAt(message, 1)];
  const outside = Object.fromEntries(
    messagesAt(message, 13).map((pair) => [only(textsAt(pair, 1)), only(textsAt(pair, 2))] as const),
  );
  const isOutside = numbersAt(message, 14)[0] === 1;
  const [offset, length] = [Number(outside.offset), Number(outside.length)];
  const bytes = isOutside
    ? files[outside.location ?? ""]?.subarray(offset, offset + length)
    : only(bytesAt(message, 9));
  if (bytes === undefined) throw new Error(`${name} is in ${outside.location}, which is missing`);
  const data = numbersOf(type, bytes);
  if (data.length !== shape.reduce((product, size) => product * size, 1)) throw new Error(`${name} has no such shape`);
  return [name, { type, shape, data }];
};

/** @param files those beside the model's, by name. */
export const readOnnx = (bytes: Uint8Array, files: Readonly<Record<string, Uint8Array>> = {}): ReadModel => {
  const model = parse(bytes);
  const graph = only(messagesAt(model, 7));
  return {
    schemaVersion: only(numbersAt(model, 1)),
    operatorSets: messagesAt(model, 8).map((set) => ({
      domain: only(textsAt(set, 1)),
      version: only(numbersAt(set, 2)),
    })),
    nodes: messagesAt(graph, 1).map(nodeOf),
    tensors: new Map(messagesAt(graph, 5).map((tensor) => tensorOf(tensor, files))),
    inputs: messagesAt(graph, 11).map(graphValueOf),
    outputs: messagesAt(graph, 12).map(graphValueOf),
  };
};
