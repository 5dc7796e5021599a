/** Reads values of a GGUF file's metadata from the part of the file that is in memory. */
import { CheckpointError } from "../../core/errors/errors.ts";

/** Numbers of an array. 64-bit integers are stored as float64. */
export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** A metadata value. A 64-bit integer beyond 2^53 is a bigint. Booleans in an array are the numbers 0 and 1. */
export type GgufValue = number | bigint | boolean | string | NumberArray | readonly GgufValue[];

/** Thrown if a value ends within the file, but after the bytes that are in memory. */
export const needMore = Symbol("more bytes of the file");

/** Reads values one after the other. */
export interface Cursor {
  /** Offset of the next value, from the beginning of the file. */
  position(): number;
  u32(): number;
  /** Reads a count or an offset. A number above 2^53 is rounded, which is harmless because no file is that large. */
  u64(): number;
  /** Reads a value of one of the format's types. */
  value(type: number, where: string): GgufValue;
  /** Reads a string. @throws CheckpointError if it is not UTF-8. */
  name(what: string): string;
  /**
   * @throws CheckpointError if the remaining bytes of the file cannot contain `count` items of at least `bytes` bytes
   * each.
   */
  checkCount(count: number, bytes: number, what: string): void;
}

/** Maximum depth of nested lists. No model needs a list inside a list. */
const deepest = 4;
/** Maximum length in bytes of a key or a tensor's name. */
const longestName = 2 ** 16 - 1;

const arrayType = 9;
const stringType = 8;
const boolType = 7;

interface NumberType {
  readonly bytes: number;
  readonly read: (view: DataView, offset: number) => number | bigint;
  readonly array: (length: number) => NumberArray;
}

/** Number types of the format. */
const numberTypes = new Map<number, NumberType>([
  [0, { bytes: 1, read: (view, at) => view.getUint8(at), array: (n) => new Uint8Array(n) }],
  [1, { bytes: 1, read: (view, at) => view.getInt8(at), array: (n) => new Int8Array(n) }],
  [2, { bytes: 2, read: (view, at) => view.getUint16(at, true), array: (n) => new Uint16Array(n) }],
  [3, { bytes: 2, read: (view, at) => view.getInt16(at, true), array: (n) => new Int16Array(n) }],
  [4, { bytes: 4, read: (view, at) => view.getUint32(at, true), array: (n) => new Uint32Array(n) }],
  [5, { bytes: 4, read: (view, at) => view.getInt32(at, true), array: (n) => new Int32Array(n) }],
  [6, { bytes: 4, read: (view, at) => view.getFloat32(at, true), array: (n) => new Float32Array(n) }],
  [boolType, { bytes: 1, read: (view, at) => view.getUint8(at), array: (n) => new Uint8Array(n) }],
  [10, { bytes: 8, read: (view, at) => view.getBigUint64(at, true), array: (n) => new Float64Array(n) }],
  [11, { bytes: 8, read: (view, at) => view.getBigInt64(at, true), array: (n) => new Float64Array(n) }],
  [12, { bytes: 8, read: (view, at) => view.getFloat64(at, true), array: (n) => new Float64Array(n) }],
]);

const narrowed = (value: number | bigint): number | bigint => {
  const number = Number(value);
  return typeof value === "number" || Number.isSafeInteger(number) ? number : value;
};

/**
 * Creates a cursor at the beginning of a file.
 * @param bytes the first bytes of the file.
 * @param fileSize the file's size in bytes.
 * @throws The cursor's methods throw a CheckpointError if a value ends after the end of the file. The methods throw
 * `needMore` if a value ends after the end of `bytes`.
 */
export const cursorOf = (bytes: Uint8Array, fileSize: number, file: string): Cursor => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const tolerant = new TextDecoder("utf-8", { ignoreBOM: true });
  let position = 0;

  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where: file, must, got });
  };

  const checkCount = (count: number, itemBytes: number, what: string): void => {
    if (count * itemBytes <= fileSize - position) return;
    const got = `at least ${count * itemBytes} bytes at ${position} in a file of ${fileSize} bytes`;
    fail(`${what} must end within the file (is the file truncated?)`, got);
  };

  /** Skips the next `length` bytes and returns their offset. */
  const take = (length: number, what: string): number => {
    checkCount(length, 1, what);
    if (position + length > bytes.length) throw needMore;
    const start = position;
    position += length;
    return start;
  };

  const u32 = (): number => view.getUint32(take(4, "the header"), true);
  const u64 = (): number => Number(view.getBigUint64(take(8, "the header"), true));

  const stringBytes = (what: string, longest: number): Uint8Array => {
    const length = u64();
    if (length > longest) fail(`${what} must have at most ${longest} bytes`, `${length}`);
    const start = take(length, what);
    return bytes.subarray(start, start + length);
  };

  const name = (what: string): string => {
    const start = position;
    try {
      return strict.decode(stringBytes(what, longestName));
    } catch (error) {
      if (error instanceof TypeError) fail(`${what} must be UTF-8`, `invalid bytes at ${start}`);
      throw error;
    }
  };

  const array = (where: string, depth: number): GgufValue => {
    if (depth >= deepest) fail(`${where} must have lists nested at most ${deepest} levels deep`, "deeper lists");
    const type = u32();
    const length = u64();
    const numbers = numberTypes.get(type);
    if (numbers !== undefined) {
      checkCount(length, numbers.bytes, where);
      const start = take(length * numbers.bytes, where);
      const out = numbers.array(length);
      for (let i = 0; i < length; i++) out[i] = Number(numbers.read(view, start + i * numbers.bytes));
      return out;
    }
    // A string or a list takes at least 8 bytes, because its length takes 8 bytes.
    checkCount(length, 8, where);
    const items: GgufValue[] = [];
    for (let i = 0; i < length; i++) items.push(read(type, where, depth + 1));
    return items;
  };

  const read = (type: number, where: string, depth: number): GgufValue => {
    if (type === stringType) return tolerant.decode(stringBytes(where, Number.POSITIVE_INFINITY));
    if (type === arrayType) return array(where, depth);
    const number = numberTypes.get(type);
    if (number === undefined) return fail(`${where} must have a type from 0 to 12`, String(type));
    const value = narrowed(number.read(view, take(number.bytes, where)));
    if (type !== boolType) return value;
    if (value !== 0 && value !== 1) fail(`${where} must be a boolean, 0 or 1`, String(value));
    return value === 1;
  };

  return { position: () => position, u32, u64, name, checkCount, value: (type, where) => read(type, where, 0) };
};
