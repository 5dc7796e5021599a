import { isRecord } from "../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../core/checks/json.ts";
import { CheckpointError, ShapeError } from "../core/errors/errors.ts";
import { toBfloat16 } from "../core/tensors/dtype.ts";
import type { LazyTensor, NamedTensor, StoredTensor } from "../core/tensors/named-tensor.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { show } from "../core/text/show.ts";
import type { ByteSource } from "./byte-source.ts";
import { float32FromBfloat16, float32FromHalf, wordsOf } from "./half.ts";

/**
 * The safetensors format (https://github.com/huggingface/safetensors). A file has three parts. The first eight bytes
 * contain the header's length as a little-endian integer. The header is a JSON object with the dtype, shape and offsets
 * of each tensor. The data of the tensors follows, without gaps. All numbers are little-endian, as on every machine
 * that Foretoken supports.
 */

export type Metadata = Readonly<Record<string, string>>;

/** Contents of a file. */
export interface SafetensorsFile {
  /** Tensors by name, in the order of their data. F16 and BF16 are converted to float32. */
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  readonly metadata: Metadata;
}

const lengthBytes = 8;
const metadataKey = "__metadata__";
const bytesPerValue = { F32: 4, F16: 2, BF16: 2 } as const;

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

/** Makes the header and the eight bytes of its length. Tensors are in the order of `sorted`. */
const headerOf = (
  sorted: readonly Pick<NamedTensor, "name" | "shape">[],
  metadata: Metadata,
  dtype: WrittenDType = "F32",
): Uint8Array => {
  const fields: string[] = [];
  const names = new Set<string>([metadataKey]);
  const metadataEntries = Object.entries(metadata).sort(byKey);
  if (metadataEntries.length > 0) {
    const pairs = metadataEntries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    fields.push(`"${metadataKey}":{${pairs.join(",")}}`);
  }
  let offset = 0;
  for (const { name, shape } of sorted) {
    if (names.has(name)) {
      const where = `tensor ${JSON.stringify(name)}`;
      throw new ShapeError({ where, must: "every tensor of a file must have its own name" });
    }
    names.add(name);
    const end = offset + sizeOf(shape) * bytesPerValue[dtype];
    // Write the header by hand, because a JavaScript object would put keys like "0" first.
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(lengthBytes + headerBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes), true);
  header.set(json, lengthBytes);
  return header;
};

const sortedByName = <T extends { readonly name: string }>(tensors: Iterable<T>): readonly T[] =>
  [...tensors].sort((a, b) => byKey([a.name, a], [b.name, b]));

const bytesOf = ({ name, shape, data }: NamedTensor): Uint8Array => {
  if (sizeOf(shape) !== data.length) {
    throw new ShapeError({
      where: `tensor ${JSON.stringify(name)}`,
      must: "data must fill the shape",
      got: `${data.length} values for [${shape.join(", ")}]`,
    });
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
};

/**
 * Returns the bytes of a file in pieces: a header, and a view of each tensor's data. Do not change the data before the
 * pieces are written. Tensors are sorted by name, so the bytes do not depend on the order of `tensors`. The header is
 * padded with spaces to a multiple of 8 bytes.
 * @throws ShapeError for a duplicate name, or data that does not fit its shape.
 */
export const safetensorsChunks = (tensors: Iterable<NamedTensor>, metadata: Metadata = {}): Uint8Array[] => {
  const sorted = sortedByName(tensors);
  return [headerOf(sorted, metadata), ...sorted.map(bytesOf)];
};

/**
 * Rounds values to the nearest bfloat16 number, ties to even. The words are little-endian, as on every machine that
 * Foretoken supports.
 */
const narrowBytes = (bytes: Uint8Array): Uint8Array => {
  const narrow = toBfloat16(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
  return new Uint8Array(narrow.buffer, narrow.byteOffset, narrow.byteLength);
};

/**
 * The same as `safetensorsChunks`, for tensors that are read one at a time.
 * @param dtype for BF16, values are rounded to nearest, ties to even.
 */
export async function* safetensorsPieces(
  tensors: Iterable<LazyTensor>,
  metadata: Metadata = {},
  dtype: WrittenDType = "F32",
): AsyncGenerator<Uint8Array, void, undefined> {
  const sorted = sortedByName(tensors);
  yield headerOf(sorted, metadata, dtype);
  for (const { name, shape, read } of sorted) {
    const bytes = bytesOf({ name, shape, data: await read() });
    yield dtype === "F32" ? bytes : narrowBytes(bytes);
  }
}

/** Joins the pieces of a file into one new array. */
export const joinChunks = (chunks: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
};

/** The same as `safetensorsChunks`, with the pieces joined into one new array. */
export const writeSafetensors = (tensors: Iterable<NamedTensor>, metadata: Metadata = {}): Uint8Array =>
  joinChunks(safetensorsChunks(tensors, metadata));

/** A checked entry of the header. */
interface Entry {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Maximum number of axes; no real tensor has more. */
const maxAxes = 64;

/** Number formats that can be read. */
export type StoredDType = keyof typeof bytesPerValue;
/** Number formats that can be written. */
export type WrittenDType = "F32" | "BF16";

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isStoredDType = (value: unknown): value is StoredDType =>
  typeof value === "string" && Object.hasOwn(bytesPerValue, value);

const completeCopy = "a complete copy of the file";

/**
 * Returns the offset of the data, read from the first bytes of the file.
 * @param size size of the file in bytes.
 */
const dataStartOf = (first: Uint8Array, size: number, where: string): number => {
  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where, must, got, hint: completeCopy });
  };
  if (size < lengthBytes) fail("a safetensors file must begin with the header's length, in 8 bytes", `${size} bytes`);
  const declared = new DataView(first.buffer, first.byteOffset, first.byteLength).getBigUint64(0, true);
  const { maxBytes } = jsonLimits.safetensorsHeader;
  if (declared > BigInt(maxBytes)) fail(`the header must be at most ${maxBytes} bytes`, `${declared}`);
  const dataStart = lengthBytes + Number(declared);
  if (dataStart > size) {
    fail("the header must end within the file", `a header of ${declared} bytes in a file of ${size} bytes`);
  }
  return dataStart;
};

const parseHeader = (bytes: Uint8Array, where: string): readonly (readonly [string, unknown])[] => {
  const header = parseJson(
    bytes,
    jsonLimits.safetensorsHeader,
    (fault) => new CheckpointError({ where, ...fault, hint: completeCopy }),
  );
  if (isRecord(header)) return Object.entries(header);
  throw new CheckpointError({ where, must: "the header must be a JSON object", got: show(header), hint: completeCopy });
};

const readEntry = (entry: unknown, where: string, dataBytes: number): Entry => {
  const fail = (must: string, got: unknown): never => {
    throw new CheckpointError({ where, must, got: show(got) });
  };
  if (!isRecord(entry)) return fail("an entry must be an object", entry);
  const { dtype, shape, data_offsets: offsets, ...others } = entry;
  const unknownKey = Object.keys(others)[0];
  if (unknownKey !== undefined) fail("an entry must have dtype, shape and data_offsets only", unknownKey);
  if (!isStoredDType(dtype)) return fail("dtype must be F32, F16 or BF16", dtype);
  if (!Array.isArray(shape) || !shape.every(isSize) || shape.length > maxAxes) {
    return fail(`shape must be a list of at most ${maxAxes} whole numbers from 0`, shape);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail("data_offsets must be two whole numbers from 0", offsets);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) fail("data_offsets must not end before they begin", offsets);
  if (end > dataBytes)
    fail(`data_offsets must lie within the ${dataBytes} bytes of data (is the file truncated?)`, offsets);
  // A partial product of the sizes may exceed 2^53. Then the tensor is too large for any file, unless another size is
  // 0, because the whole product is then 0.
  const size = shape.includes(0) ? 0 : sizeOf(shape);
  if (size * bytesPerValue[dtype] !== end - begin) {
    fail(
      `shape × ${bytesPerValue[dtype]} bytes must be the length of the data`,
      `${show(shape)} for ${end - begin} bytes`,
    );
  }
  return { dtype, shape, begin, end };
};

const readMetadata = (value: unknown, where: string): Metadata => {
  if (!isRecord(value) || !Object.values(value).every((entry) => typeof entry === "string")) {
    throw new CheckpointError({ where, must: `${metadataKey} must map names to strings`, got: show(value) });
  }
  return value as Metadata;
};

const readData = (dtype: StoredDType, bytes: Uint8Array): Float32Array => {
  switch (dtype) {
    case "F32": {
      if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      // Do not use slice(): for a Node Buffer, slice() shares memory.
      return new Float32Array(new Uint8Array(bytes).buffer);
    }
    case "F16":
      return float32FromHalf(bytes);
    case "BF16":
      return float32FromBfloat16(bytes);
  }
};

/** The header's contents. Tensors are in the order of their data, without gaps. */
interface Table {
  readonly tensors: readonly (readonly [name: string, entry: Entry])[];
  readonly metadata: Metadata;
}

/** Checks the header of a file with `dataBytes` bytes of data, before memory is allocated for a tensor. */
const readTable = (header: Uint8Array, dataBytes: number, where: string): Table => {
  let metadata: Metadata = {};
  const tensors: [string, Entry][] = [];
  for (const [name, entry] of parseHeader(header, where)) {
    if (name === metadataKey) metadata = readMetadata(entry, where);
    else tensors.push([name, readEntry(entry, `${where}: tensor ${show(name)}`, dataBytes)]);
  }
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const [name, { begin, end }] of tensors) {
    if (begin !== expected) {
      throw new CheckpointError({
        where: `${where}: tensor ${show(name)}`,
        must: "tensors must follow each other without gaps or overlaps",
        got: `a start at ${begin} instead of ${expected}`,
      });
    }
    expected = end;
  }
  if (expected !== dataBytes) {
    throw new CheckpointError({
      where,
      must: `the data must end with its last tensor, after ${expected} bytes`,
      got: `${dataBytes} bytes`,
      hint: completeCopy,
    });
  }
  return { tensors, metadata };
};

/**
 * Reads the tensors of a safetensors file. Every value in the header is checked before memory is allocated.
 * @param bytes the whole file. Aligned float32 data is returned as a view of `bytes`, so do not change the bytes.
 * @param where the file, for errors.
 * @throws CheckpointError with the file, the tensor and the problem: a truncated or forged header, truncated data,
 * overlaps, gaps, bytes after the last tensor, or a dtype other than F32, F16 and BF16.
 */
export const readSafetensors = (bytes: Uint8Array, where: string): SafetensorsFile => {
  const dataStart = dataStartOf(bytes, bytes.length, where);
  const table = readTable(bytes.subarray(lengthBytes, dataStart), bytes.length - dataStart, where);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, { dtype, shape, begin, end }] of table.tensors) {
    const data = readData(dtype, bytes.subarray(dataStart + begin, dataStart + end));
    tensors.set(name, { name, shape, data });
  }
  return { tensors, metadata: table.metadata };
};

/** A tensor of a safetensors file, with its dtype in the file. */
export interface SafetensorsTensor extends StoredTensor {
  readonly dtype: StoredDType;
}

/** Reads the header of an open file, and the offset of its data. */
const openTable = async (source: ByteSource, where: string): Promise<Table & { readonly dataStart: number }> => {
  const { size } = source;
  const first = size < lengthBytes ? new Uint8Array() : await source.read(0, lengthBytes);
  const dataStart = dataStartOf(first, size, where);
  const header = await source.read(lengthBytes, dataStart - lengthBytes);
  return { ...readTable(header, size - dataStart, where), dataStart };
};

/**
 * Reads the metadata of an open safetensors file.
 * @param where the file, for errors.
 * @throws CheckpointError for a damaged header, as `readSafetensors`.
 */
export const openMetadata = async (source: ByteSource, where: string): Promise<Metadata> =>
  (await openTable(source, where)).metadata;

/**
 * Reads the header of a safetensors file. The tensors are read later, when needed. The tensors are listed in the order
 * of their data. A caller that reads the tensors in this order reads the file from beginning to end.
 * @param where the file, for errors.
 * @throws CheckpointError as `readSafetensors`.
 */
export const openSafetensors = async (source: ByteSource, where: string): Promise<readonly SafetensorsTensor[]> => {
  const { tensors, dataStart } = await openTable(source, where);
  return tensors.map(([name, { dtype, shape, begin, end }]) => {
    const rows = shape.length < 2 ? 1 : (shape[0] ?? 1);
    const rowBytes = rows === 0 ? 0 : (end - begin) / rows;
    const read = (first: number, count: number): Promise<Uint8Array> =>
      source.read(dataStart + begin + first * rowBytes, count * rowBytes);
    return {
      ...{ name, dtype, shape, bytes: end - begin },
      readRows: async (first, count) => readData(dtype, await read(first, count)),
      ...(dtype === "BF16"
        ? { readWords: async (first: number, count: number) => wordsOf(await read(first, count)) }
        : {}),
    };
  });
};
