/**
 * Reads the header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), version 2 or 3. The
 * header begins with the magic letters, the version and two counts. The metadata follows as keys with values. The last
 * part lists the names, sizes, types and offsets of the tensors. The tensors' data follows the header. All numbers are
 * little-endian.
 */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { ByteSource } from "../byte-source.ts";
import { type Cursor, cursorOf, type GgufValue, needMore } from "./values.ts";

/** Metadata keys with their values. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** A tensor's entry in the header. Only the tensor's number of axes has been checked so far. */
export interface TensorInfo {
  readonly name: string;
  /** Sizes of the axes in the order of the file: the innermost axis first. */
  readonly extents: readonly number[];
  readonly type: number;
  /** Offset from the beginning of the data. */
  readonly offset: number;
}

/** A header. */
export interface GgufHeader {
  readonly metadata: GgufMetadata;
  /** Encoded bytes of each key and its value, for copying. The arrays are views of the bytes that were read. */
  readonly pairs: ReadonlyMap<string, Uint8Array>;
  readonly tensors: readonly TensorInfo[];
  /** Alignment in bytes: every tensor's offset is a multiple of this number. */
  readonly alignment: number;
  /** Offset of the data in the file. */
  readonly dataStart: number;
}

/** The letters GGUF as a little-endian integer. */
const magic = 0x46554747;
const versions: readonly number[] = [2, 3];
/** Maximum number of axes of a tensor. */
const mostAxes = 4;
/** Minimum number of bytes of a key with its value, and of a tensor's entry. */
const fewestBytes = { pair: 8 + 4 + 1, tensor: 8 + 4 + 8 + 4 + 8 };
const defaultAlignment = 32;
const largestAlignment = 2 ** 20;

/** Number of bytes that are read first. A vocabulary of 100,000 tokens takes a few megabytes. */
const firstBytes = 2 ** 22;
/**
 * Maximum size of a header in bytes. No real vocabulary needs a larger header. If a file is not GGUF, this limit also
 * stops the reading.
 */
const mostBytes = 2 ** 26;

const checkVersion = (version: number, fail: (must: string, got: string) => never): void => {
  if (versions.includes(version)) return;
  const must = "the file must be GGUF version 2 or 3, little-endian";
  // If a small big-endian number is read as little-endian, its lower half is zero.
  if (version !== 0 && (version & 0xffff) === 0) fail(must, "a big-endian file");
  fail(must, `version ${version}`);
};

const readMetadata = (
  cursor: Cursor,
  count: number,
  bytes: Uint8Array,
  fail: (must: string, got: string) => never,
): Pick<GgufHeader, "metadata" | "pairs"> => {
  const metadata = new Map<string, GgufValue>();
  const pairs = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const start = cursor.position();
    const key = cursor.name("a key");
    if (metadata.has(key)) fail("every key must occur only once", `${show(key)} twice`);
    metadata.set(key, cursor.value(cursor.u32(), key));
    pairs.set(key, bytes.subarray(start, cursor.position()));
  }
  return { metadata, pairs };
};

const readInfos = (
  cursor: Cursor,
  count: number,
  fail: (must: string, got: string) => never,
): readonly TensorInfo[] => {
  const infos: TensorInfo[] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.name("a tensor's name");
    const axes = cursor.u32();
    if (axes < 1 || axes > mostAxes) fail(`tensor ${show(name)} must have 1 to ${mostAxes} axes`, String(axes));
    const extents = Array.from({ length: axes }, () => cursor.u64());
    infos.push({ name, extents, type: cursor.u32(), offset: cursor.u64() });
  }
  return infos;
};

const alignmentOf = (metadata: GgufMetadata, fail: (must: string, got: string) => never): number => {
  const value = metadata.get("general.alignment") ?? defaultAlignment;
  const isPower =
    typeof value === "number" && value >= 8 && value <= largestAlignment && Number.isInteger(Math.log2(value));
  if (isPower) return value;
  return fail(`general.alignment must be a power of two from 8 to ${largestAlignment}`, show(value));
};

const parse = (bytes: Uint8Array, size: number, where: string): GgufHeader => {
  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where, must, got });
  };
  const cursor = cursorOf(bytes, size, where);
  if (size < 8 || cursor.u32() !== magic) fail("a GGUF file must begin with the letters GGUF", "other bytes");
  checkVersion(cursor.u32(), fail);
  const tensorCount = cursor.u64();
  const keyCount = cursor.u64();
  cursor.checkCount(keyCount, fewestBytes.pair, "the metadata");
  cursor.checkCount(tensorCount, fewestBytes.tensor, "the list of tensors");
  const { metadata, pairs } = readMetadata(cursor, keyCount, bytes, fail);
  const tensors = readInfos(cursor, tensorCount, fail);
  const alignment = alignmentOf(metadata, fail);
  return { metadata, pairs, tensors, alignment, dataStart: Math.ceil(cursor.position() / alignment) * alignment };
};

/**
 * Reads the header of a GGUF file. No memory is allocated for a length that exceeds the file.
 * @param where the file, for errors.
 * @throws CheckpointError for a header that is truncated, forged, too long or of another version.
 */
export const readGgufHeader = async (source: ByteSource, where: string): Promise<GgufHeader> => {
  const { size } = source;
  for (let length = firstBytes; ; length *= 4) {
    const bytes = await source.read(0, Math.min(size, length));
    try {
      return parse(bytes, size, where);
    } catch (error) {
      if (error !== needMore) throw error;
    }
    if (length >= mostBytes) {
      const got = `a longer header in a file of ${size} bytes`;
      throw new CheckpointError({ where, must: `the header must have at most ${mostBytes} bytes`, got });
    }
  }
};
