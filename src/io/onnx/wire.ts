/**
 * Writes Protocol Buffers messages (https://protobuf.dev/programming-guides/encoding/). A message is a list of parts.
 * The bytes of a large tensor are read only when its part is written. So memory contains only one large tensor at a
 * time.
 */

/** A part of known length. The bytes of a part are made only when they are written. */
export interface LateBytes {
  readonly length: number;
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** A part of a message. */
export type Part = Uint8Array | LateBytes;

const wireTypes = { varint: 0, lengthDelimited: 2, fixed32: 5 } as const;

const encoder = new TextEncoder();

/**
 * Encodes an integer in groups of seven bits, the lowest bits first. A negative integer is encoded as 64 bits, as the
 * format requires.
 */
const varint = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
};

const tag = (field: number, type: keyof typeof wireTypes): number[] => varint(field * 8 + wireTypes[type]);

/** Total length of all parts. */
export const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, { length }) => sum + length, 0);

export const wholeField = (field: number, value: number): Uint8Array =>
  Uint8Array.from([...tag(field, "varint"), ...varint(value)]);

export const floatField = (field: number, value: number): Uint8Array => {
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return Uint8Array.from([...tag(field, "fixed32"), ...bytes]);
};

/** A field with bytes or a message as its value. The value is the concatenation of `parts`. */
export const partsField = (field: number, parts: readonly Part[]): readonly Part[] => [
  Uint8Array.from([...tag(field, "lengthDelimited"), ...varint(lengthOf(parts))]),
  ...parts,
];

export const textField = (field: number, value: string): readonly Part[] => partsField(field, [encoder.encode(value)]);

/** Small parts are joined into pieces of at least this number of bytes. */
const joinedAtATime = 2 ** 16;

/** Yields the bytes of a message piece by piece. Small parts are joined. */
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
    if (written !== part.length) throw new Error(`a part has ${written} bytes instead of ${part.length}`);
  }
  if (length > 0) yield joined();
}
