/** Writes GGUF files for tests. scripts/fixtures/make-gguf.py writes a GGUF file with another program. */

/** A value with its type number in the GGUF format. */
export type TypedValue =
  | { readonly type: "u32" | "u64" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "texts"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: readonly number[] };

export const u32 = (value: number): TypedValue => ({ type: "u32", value });
export const f32 = (value: number): TypedValue => ({ type: "f32", value });
export const text = (value: string): TypedValue => ({ type: "text", value });
export const flag = (value: boolean): TypedValue => ({ type: "bool", value });
export const texts = (value: readonly string[]): TypedValue => ({ type: "texts", value });
export const i32s = (value: readonly number[]): TypedValue => ({ type: "i32s", value });

export interface WrittenTensor {
  /** Sizes. The innermost size is the first. */
  readonly extents: readonly number[];
  /** Number of the encoding. Default: float32. */
  readonly type?: number;
  readonly bytes: Uint8Array;
  /** Offset in the file. Default: the offset after the previous tensors. */
  readonly offset?: number;
}

export interface WrittenFile {
  readonly metadata: Readonly<Record<string, TypedValue>>;
  readonly tensors: Readonly<Record<string, WrittenTensor>>;
  readonly version?: number;
  readonly alignment?: number;
}

/** A float32 tensor of [rows, columns], or of [columns]. */
export const float32Tensor = (shape: readonly number[], data: Float32Array): WrittenTensor => ({
  extents: shape.toReversed(),
  bytes: new Uint8Array(data.slice().buffer),
});

const bytesOf = (count: number, write: (view: DataView) => void): Uint8Array => {
  const bytes = new Uint8Array(count);
  write(new DataView(bytes.buffer));
  return bytes;
};

export const u32Bytes = (value: number): Uint8Array => bytesOf(4, (view) => view.setUint32(0, value, true));
export const u64Bytes = (value: number): Uint8Array => bytesOf(8, (view) => view.setBigUint64(0, BigInt(value), true));
export const textBytes = (value: string): Uint8Array => {
  const utf8 = new TextEncoder().encode(value);
  return join([u64Bytes(utf8.length), utf8]);
};

/** Concatenates the parts. */
export const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

const valueBytes = ({ type, value }: TypedValue): Uint8Array => {
  switch (type) {
    case "u32":
      return join([u32Bytes(4), u32Bytes(value)]);
    case "i32":
      return join([u32Bytes(5), bytesOf(4, (view) => view.setInt32(0, value, true))]);
    case "f32":
      return join([u32Bytes(6), bytesOf(4, (view) => view.setFloat32(0, value, true))]);
    case "u64":
      return join([u32Bytes(10), u64Bytes(value)]);
    case "bool":
      return join([u32Bytes(7), Uint8Array.of(value ? 1 : 0)]);
    case "text":
      return join([u32Bytes(8), textBytes(value)]);
    case "texts":
      return join([u32Bytes(9), u32Bytes(8), u64Bytes(value.length), ...value.map(textBytes)]);
    case "i32s":
      return join([u32Bytes(9), u32Bytes(5), u64Bytes(value.length), new Uint8Array(Int32Array.from(value).buffer)]);
  }
};

const padded = (bytes: Uint8Array, alignment: number): Uint8Array =>
  join([bytes, new Uint8Array((alignment - (bytes.length % alignment)) % alignment)]);

/** The bytes of a GGUF file. The parts are not checked, so the file may be invalid. */
export const writeGguf = ({ metadata, tensors, version = 3, alignment = 32 }: WrittenFile): Uint8Array => {
  const entries = Object.entries(metadata);
  const infos: Uint8Array[] = [];
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const { extents, type = 0, bytes } = tensor;
    infos.push(textBytes(name), u32Bytes(extents.length), ...extents.map(u64Bytes), u32Bytes(type));
    infos.push(u64Bytes(tensor.offset ?? offset));
    const written = padded(bytes, alignment);
    offset += written.length;
    data.push(written);
  }
  const header = join([
    ...[
      new TextEncoder().encode("GGUF"),
      u32Bytes(version),
      u64Bytes(infos.length === 0 ? 0 : Object.keys(tensors).length),
    ],
    u64Bytes(entries.length),
    ...entries.flatMap(([key, value]) => [textBytes(key), valueBytes(value)]),
    ...infos,
  ]);
  return join([padded(header, alignment), ...data]);
};
