/**
 * SentencePiece's normalization table (`precompiled_charsmap`). The table lists UTF-8 sequences and their replacements.
 * The table has three parts. The first part is the size of a trie in bytes, as a 32-bit little-endian integer. The
 * second part is the trie, as a double array written by Darts-clone. The third part is the replacements, each with a
 * zero byte at its end. Source: `normalizer_spec.precompiled_charsmap` in SentencePiece.
 */
import { CheckpointError } from "../../core/errors/errors.ts";

export interface Charsmap {
  /** The bytes of the table, as they were read. */
  readonly bytes: Uint8Array;
  readonly trie: Uint32Array;
  readonly replacements: Uint8Array;
}

/** @throws CheckpointError for a truncated table. */
export const charsmapOf = (bytes: Uint8Array, where: string): Charsmap | undefined => {
  if (bytes.length === 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (size === 0 || size % 4 !== 0 || 4 + size >= bytes.length || bytes.at(-1) !== 0) {
    const must = "the normalization table (precompiled_charsmap) must have a trie and replacements";
    throw new CheckpointError({ where, must, got: `${bytes.length} bytes, with a trie of ${size}` });
  }
  const trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  return { bytes, trie, replacements: bytes.subarray(4 + size) };
};

/** Offset from a unit of the trie to its children. */
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
/**
 * The byte on the edge from a unit's parent to the unit. In a unit that is a value, the top bit is set too, so the
 * label equals no byte.
 */
const labelOf = (unit: number): number => unit & 0x800000ff;
const hasValue = (unit: number): boolean => ((unit >>> 8) & 1) === 1;
const placeIn = (unit: number): number => unit & 0x7fffffff;

/** Length in bytes of the character that begins with this byte. */
const widthOf = (byte: number): number => (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4);

/**
 * Finds the longest sequence at `from` that has a replacement. Returns the end of the sequence, and the offset of the
 * replacement. `end` is 0 if no sequence has a replacement.
 */
const found = ({ trie, replacements }: Charsmap, utf8: Uint8Array, from: number) => {
  let place = offsetOf(trie[0] as number);
  let [end, value] = [0, 0];
  for (let at = from; at < utf8.length; at++) {
    const byte = utf8[at] as number;
    place ^= byte;
    // In a damaged table, the offset may be outside the trie. The search then ends.
    const unit = trie[place];
    if (unit === undefined || labelOf(unit) !== byte) break;
    place ^= offsetOf(unit);
    if (!hasValue(unit)) continue;
    const replacement = placeIn(trie[place] ?? 0);
    if (replacement < replacements.length) [end, value] = [at + 1, replacement];
  }
  return { end, value };
};

/** Replaces sequences of a text. At each position, it replaces the longest sequence that has a replacement. */
export const mapCharacters = (charsmap: Charsmap, text: string): string => {
  const utf8 = new TextEncoder().encode(text);
  const { replacements } = charsmap;
  let out = new Uint8Array(2 * utf8.length + 16);
  let length = 0;
  const append = (bytes: Uint8Array): void => {
    if (length + bytes.length > out.length) {
      const larger = new Uint8Array(2 * (length + bytes.length));
      larger.set(out);
      out = larger;
    }
    out.set(bytes, length);
    length += bytes.length;
  };
  for (let at = 0; at < utf8.length; ) {
    const { end, value } = found(charsmap, utf8, at);
    const next = end === 0 ? at + widthOf(utf8[at] as number) : end;
    append(end === 0 ? utf8.subarray(at, next) : replacements.subarray(value, replacements.indexOf(0, value)));
    at = next;
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(out.subarray(0, length));
};
