/**
 * Reads Protocol Buffers messages (https://protobuf.dev/programming-guides/encoding/). Small messages are parsed in
 * memory. Large messages are read from a file field by field, so that a tensor's bytes are read only when needed.
 */
import type { CheckpointError } from "../../core/errors/errors.ts";
import type { ByteSource } from "../byte-source.ts";

/** Makes the error for an invalid file. */
export type Refuse = (must: string, got: string) => CheckpointError;

/** A range of bytes in a file. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A 64-bit integer, or bytes. */
export type WireValue = bigint | Uint8Array;

/** Values of each field, by field number. */
export type Message = ReadonlyMap<number, readonly WireValue[]>;

/** Sizes in bytes of fixed-length fields, by wire type. */
const fixedBytes: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** Maximum length of a varint in bytes. A varint has at most 64 bits, in groups of seven. */
const longestNumber = 10;

const mustEnd = "every field must end within its message";

/**
 * Reads a varint. Returns its value and the index after it, or undefined if the varint does not end within the bytes.
 */
const numberAt = (bytes: Uint8Array, from: number): readonly [value: bigint, next: number] | undefined => {
  let value = 0n;
  for (let i = 0; i < longestNumber; i++) {
    const byte = bytes[from + i];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) return [BigInt.asUintN(64, value), from + i + 1];
  }
  return undefined;
};

/** The beginning of a field: the field's number, and the field's integer or its length in bytes. */
interface Head {
  readonly field: number;
  /** The field's integer, or null if `length` bytes follow. */
  readonly value: bigint | null;
  readonly length: number;
  /** Length in bytes of the beginning of the field. */
  readonly size: number;
}

const headAt = (bytes: Uint8Array, from: number, refuse: Refuse): Head => {
  const [tag, afterTag] = numberAt(bytes, from) ?? [0n, 0];
  const [field, wire] = [Number(tag >> 3n), Number(tag & 7n)];
  if (field === 0) throw refuse(mustEnd, "a field with the number 0");
  const fixed = fixedBytes[wire];
  if (fixed !== undefined) return { field, value: null, length: fixed, size: afterTag - from };
  if (wire !== 0 && wire !== 2) throw refuse("every field must have a supported Protocol Buffers type", `type ${wire}`);
  const found = numberAt(bytes, afterTag);
  if (found === undefined) throw refuse(mustEnd, `field ${field} without an end`);
  const [value, next] = found;
  if (wire === 0) return { field, value, length: 0, size: next - from };
  return { field, value: null, length: Number(value), size: next - from };
};

/** Parses a message. @throws the error that `refuse` makes if the bytes are not a message. */
export const parseMessage = (bytes: Uint8Array, refuse: Refuse): Message => {
  const fields = new Map<number, WireValue[]>();
  let at = 0;
  while (at < bytes.length) {
    const { field, value, length, size } = headAt(bytes, at, refuse);
    at += size;
    if (length > bytes.length - at) throw refuse(mustEnd, `${length} bytes for field ${field}`);
    const values = fields.get(field) ?? [];
    values.push(value ?? bytes.subarray(at, at + length));
    fields.set(field, values);
    at += length;
  }
  return fields;
};

/** A field of a large message: an integer, or the range of its bytes. */
export interface Field {
  readonly field: number;
  readonly value: bigint | Span;
}

/** Number of bytes that are read at once. */
const readAtATime = 2 ** 16;

/** Yields the fields of a message in a file, in order. */
export type Walk = (message: Span) => AsyncGenerator<Field, void, undefined>;

/** @param source must stay open while fields are read. */
export const walker = (source: ByteSource, refuse: Refuse): Walk => {
  let [held, from]: [Uint8Array, number] = [new Uint8Array(), 0];
  const around = async (at: number, end: number): Promise<Uint8Array> => {
    const wanted = Math.min(2 * longestNumber, end - at);
    if (at < from || at + wanted > from + held.length) {
      held = await source.read(at, Math.min(readAtATime, source.size - at));
      from = at;
    }
    return held.subarray(at - from, Math.min(held.length, end - from));
  };
  return async function* fields({ start, end }) {
    let at = start;
    while (at < end) {
      const { field, value, length, size } = headAt(await around(at, end), 0, refuse);
      at += size;
      if (length > end - at) throw refuse(mustEnd, `${length} bytes for field ${field}`);
      yield { field, value: value ?? { start: at, end: at + length } };
      at += length;
    }
  };
};
