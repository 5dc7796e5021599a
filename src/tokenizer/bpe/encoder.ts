/** Encodes bytes: splits them into pieces, merges each piece, and caches the result. */
import { type Merges, mergeBy } from "./merge.ts";
import { doubled } from "./pair-table.ts";
import { type PieceTable, pieceTable } from "./piece-table.ts";
import type { NextPiece } from "./split/split.ts";

/** Maximum number of cached pieces, and maximum number of bytes of all cached pieces. A full cache is cleared. */
const mostPieces = 2 ** 18;
const mostBytes = 2 ** 23;
/** Maximum length of a cached piece. Longer pieces are not cached, because they rarely repeat. */
const longestRemembered = 64;

/** The parts of a vocabulary that the encoder needs. */
export interface EncoderParts {
  readonly nextPiece: NextPiece;
  readonly merges: Merges;
  /** Token of each byte. */
  readonly idOfByte: Int32Array;
  /** Tokens that replace a whole piece without merges. Undefined if only merges make tokens. */
  readonly whole: { readonly pieces: PieceTable; readonly ids: Int32Array } | undefined;
}

/** A list of ids that grows when it is full. */
export interface IdList {
  ids: Int32Array;
  length: number;
}

/** Ensures that the list has room for `count` more ids. */
const reserve = (list: IdList, count: number): void => {
  while (list.ids.length < list.length + count) list.ids = doubled(list.ids);
};

export const appendId = (list: IdList, id: number): void => {
  reserve(list, 1);
  list.ids[list.length++] = id;
};

export type EncodeBytes = (bytes: Uint8Array, from: number, to: number, out: IdList) => void;

/** Makes a function that appends the ids of `bytes[from..to)` (UTF-8) to a list. */
export const bytesEncoder = ({ nextPiece, merges, idOfByte, whole }: EncoderParts): EncodeBytes => {
  const merge = mergeBy(merges);
  const remembered = pieceTable();
  /** Ids of cached piece i: `known[starts[i]..starts[i + 1])`. */
  let known = new Int32Array(2 ** 12);
  let starts = new Int32Array(2 ** 12);
  let symbols = new Int32Array(longestRemembered);

  /** Writes the ids of a piece into `symbols` and returns their number. */
  const encodePiece = (bytes: Uint8Array, from: number, to: number): number => {
    const length = to - from;
    if (whole !== undefined) {
      const index = whole.pieces.find(bytes, from, to);
      if (index !== -1) {
        symbols[0] = whole.ids[index] as number;
        return 1;
      }
    }
    while (symbols.length < length) symbols = doubled(symbols);
    for (let i = 0; i < length; i++) {
      symbols[i] = idOfByte[bytes[from + i] as number] as number;
    }
    return merge(symbols, length);
  };

  const remember = (index: number, count: number): void => {
    const start = starts[index] as number;
    while (known.length < start + count) known = doubled(known);
    for (let i = 0; i < count; i++) known[start + i] = symbols[i] as number;
    if (index + 1 === starts.length) starts = doubled(starts);
    starts[index + 1] = start + count;
  };

  const appendPiece = (bytes: Uint8Array, from: number, to: number, out: IdList): void => {
    let source = symbols;
    let start = 0;
    let count = 0;
    if (to - from > longestRemembered) {
      count = encodePiece(bytes, from, to);
      source = symbols;
    } else {
      let index = remembered.find(bytes, from, to);
      if (index === -1) {
        count = encodePiece(bytes, from, to);
        if (remembered.size === mostPieces || remembered.byteLength > mostBytes) remembered.clear();
        index = remembered.add(bytes, from, to);
        remember(index, count);
      }
      source = known;
      start = starts[index] as number;
      count = (starts[index + 1] as number) - start;
    }
    reserve(out, count);
    for (let i = 0; i < count; i++) out.ids[out.length + i] = source[start + i] as number;
    out.length += count;
  };

  return (bytes, from, to, out) => {
    for (let at = from; at < to; ) {
      const end = nextPiece(bytes, at, to);
      appendPiece(bytes, at, end, out);
      at = end;
    }
  };
};
