/**
 * Writes messages of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/). A message is a list of parts, so
 * that the bytes of large tensors are read when they are written, and never lie in memory together.
 */

/** Bytes of known length that are made when they are written. */
export interface LateBytes {
  readonly length: number;
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** A part of a message. */
export type Part = Uint8Array | LateBytes;

const wireTypes = { varint: 0, lengthDelimited: 2, fixed32: 5 } as const;

const encoder = new TextEncoder();

/** A whole number in groups of seven bits, the lowest first. A negative one has 64 bits, as the format wants it. */
const varint = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
};

const tag = (field: number, type: keyof typeof wireTypes): number[] => varint(field * 8 + wireTypes[type]);

/** Bytes of all parts. */
export const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, { length }) => sum + length, 0);

export const wholeField = (field: number, value: number): Uint8Array =>
  Uint8Array.from([...tag(field, "varint"), ...varint(value)]);

export const floatField = (field: number, value: number): Uint8Array => {
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return Uint8Array.from([...tag(field, "fixed32"), ...bytes]);
};

/** A field whose value is the parts, one after the other: bytes, or a message. */
export const partsField = (field: number, parts: readonly Part[]): readonly Part[] => [
  Uint8Array.from([...tag(field, "lengthDelimited"), ...varint(lengthOf(parts))]),
  ...parts,
];

export const textField = (field: number, value: string): readonly Part[] => partsField(field, [encoder.encode(value)]);

/** Bytes that are joined before they are written. */
const joinedAtATime = 2 ** 16;

/** The bytes of a message, piece by piece: small parts are joined. */
export async function* piecesOf(parts: readonly Part[]): AsyncGenerator<Uint8Array, void, undefined> {
  let small: Uint8Array[] = [];
  let length = 0;
  const joined = (): Uint8Array => {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of small) {
      bytes.set(part, at);
      at += part.length;
    }
    [small, length] = [[], 0];
    return bytes;
  };
  for (const part of parts) {
    if (part instanceof Uint8Array) {
      small.push(part);
      length += part.length;
      if (length >= joinedAtATime) yield joined();
      continue;
    }
    if (length > 0) yield joined();
    let written = 0;
    for await (const piece of part.pieces()) {
      written += piece.length;
      yield piece;
    }
    if (written !== part.length) throw new Error(`a part has ${written} bytes in place of ${part.length}`);
  }
  if (length > 0) yield joined();
}
