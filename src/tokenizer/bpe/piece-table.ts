/**
 * Hash table that gives each distinct piece of bytes a number. The numbers begin at 0 and follow the order of
 * insertion. The table uses open addressing and linear probing. Most pieces have at most eight bytes. Such pieces are
 * compared as two integers instead of byte by byte.
 */
import { doubled } from "./pair-table.ts";

export interface PieceTable {
  /** Number of pieces. */
  readonly size: number;
  /** Total size of all pieces in bytes. */
  readonly byteLength: number;
  /** Returns the index of the piece `bytes[from..to)`, or -1 if the piece is not in the table. */
  find(bytes: Uint8Array, from: number, to: number): number;
  /** Returns the index of the piece `bytes[from..to)`. A new piece is added. */
  add(bytes: Uint8Array, from: number, to: number): number;
  /**
   * Bytes of all pieces in the order of their indices. Piece i is from `offset(i)` to `offset(i + 1)`. The array is
   * valid until the next `add`.
   */
  bytes(): Uint8Array;
  offset(index: number): number;
  clear(): void;
}

/** Masks that keep the first 0 to 4 bytes of a little-endian word. */
const masks = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1);

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x2c1b3c6d);
  return mixed ^ (mixed >>> 15);
};

const noBytes = new Uint8Array();
/**
 * A slot consists of four numbers. Two numbers are the key, one number is the length in bytes, and one number is the
 * piece's index. The index is -1 if the slot is free.
 */
const slotSize = 4;
const shortPiece = 8;

/** The first slot to probe, a multiple of `slotSize`. */
const firstSlot = (low: number, high: number): number =>
  (Math.imul(mix(low, Math.imul(high, 0x9e3779b1)), 0x85ebca6b) >>> 7) * slotSize;

/** The bytes of all pieces, concatenated. */
const pieceBytes = () => {
  let offsets = new Int32Array(2 ** 10);
  let arena = new Uint8Array(2 ** 14);
  let size = 0;
  return {
    append(source: Uint8Array, from: number, to: number): void {
      const offset = offsets[size] as number;
      const needed = offset + to - from;
      if (needed > arena.length) {
        const larger = new Uint8Array(Math.max(2 * arena.length, needed));
        larger.set(arena);
        arena = larger;
      }
      for (let i = from; i < to; i++) arena[offset + i - from] = source[i] as number;
      size++;
      if (size >= offsets.length) offsets = doubled(offsets);
      offsets[size] = needed;
    },
    isSame(index: number, source: Uint8Array, from: number, length: number): boolean {
      const offset = offsets[index] as number;
      for (let i = 0; i < length; i++) if (arena[offset + i] !== source[from + i]) return false;
      return true;
    },
    length: () => offsets[size] as number,
    offset: (index: number) => offsets[index] as number,
    all: () => arena.subarray(0, offsets[size]),
    clear(): void {
      size = 0;
    },
  };
};

export const pieceTable = (): PieceTable => {
  let slots = new Int32Array(slotSize * 2 ** 11).fill(-1);
  const kept = pieceBytes();
  let size = 0;
  let source: Uint8Array = noBytes;
  let view: DataView = new DataView(noBytes.buffer);

  const readFrom = (bytes: Uint8Array): void => {
    if (bytes === source) return;
    source = bytes;
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

  /** Returns up to four bytes of the source as an integer. */
  const wordAt = (at: number, to: number): number => {
    if (at + 4 <= source.length) return view.getInt32(at, true) & (masks[Math.min(4, to - at)] as number);
    let word = 0;
    for (let i = Math.min(at + 4, to) - 1; i >= at; i--) word = (word << 8) | (source[i] as number);
    return word;
  };

  /** The key of the most recently read piece. */
  let low = 0;
  let high = 0;
  const readKey = (from: number, to: number): void => {
    low = wordAt(from, to);
    high = to - from > 4 ? wordAt(from + 4, to) : 0;
    // For a longer piece, both numbers of the key are hashes of all bytes.
    for (let at = from + shortPiece; at < to; at += 4) {
      const word = wordAt(at, to);
      low = mix(low, word);
      high = mix(high, word ^ 0x55555555);
    }
  };

  /** The slot of the piece that `readKey` read, or the free slot for this piece. */
  const slotOf = (from: number, length: number): number => {
    const mask = slots.length - 1;
    let slot = firstSlot(low, high) & mask;
    for (; slots[slot + 3] !== -1; slot = (slot + slotSize) & mask) {
      if (slots[slot] !== low || slots[slot + 1] !== high || slots[slot + 2] !== length) continue;
      if (length <= shortPiece || kept.isSame(slots[slot + 3] as number, source, from, length)) break;
    }
    return slot;
  };

  const grow = (): void => {
    const old = slots;
    slots = new Int32Array(2 * old.length).fill(-1);
    const mask = slots.length - 1;
    for (let from = 0; from < old.length; from += slotSize) {
      if (old[from + 3] === -1) continue;
      low = old[from] as number;
      high = old[from + 1] as number;
      let slot = firstSlot(low, high) & mask;
      while (slots[slot + 3] !== -1) slot = (slot + slotSize) & mask;
      for (let i = 0; i < slotSize; i++) slots[slot + i] = old[from + i] as number;
    }
  };

  return {
    get size() {
      return size;
    },
    get byteLength() {
      return kept.length();
    },
    find: (bytes, from, to) => {
      readFrom(bytes);
      readKey(from, to);
      return slots[slotOf(from, to - from) + 3] as number;
    },
    add: (bytes, from, to) => {
      readFrom(bytes);
      readKey(from, to);
      const slot = slotOf(from, to - from);
      const known = slots[slot + 3] as number;
      if (known !== -1) return known;
      slots[slot] = low;
      slots[slot + 1] = high;
      slots[slot + 2] = to - from;
      slots[slot + 3] = size;
      kept.append(source, from, to);
      size++;
      // At least half of the slots stay free.
      if (2 * slotSize * (size + 1) >= slots.length) grow();
      return size - 1;
    },
    bytes: kept.all,
    offset: kept.offset,
    clear: () => {
      slots.fill(-1);
      kept.clear();
      size = 0;
    },
  };
};
