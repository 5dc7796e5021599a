/**
 * Rows of documents for training. Every epoch uses each document once, and the order is new in each epoch. A row is one
 * document, or several documents that fit into the context together. Attention never crosses from one document of a row
 * to another. If a document shares its row with other documents, its gradients differ only by rounding.
 */
import { randomKey, randomStream } from "../core/random.ts";
import type { Batch, MakeBatch, PassRange } from "./batches.ts";
import { type Documents, documentCount, shuffled } from "./documents.ts";

export const rowKinds = ["packed", "one"] as const;
/** Contents of a row. `packed` means all documents that fit into the context together; `one` means one document. */
export type RowKind = (typeof rowKinds)[number];

/**
 * Pieces of documents that fit into the context. Piece i has `lengths[i]` inputs, beginning with token `from[i]`. The
 * target of each input is the token after it.
 */
export interface Pieces {
  readonly from: Int32Array;
  readonly lengths: Int32Array;
  /** For each piece, the number of targets that the loss counts. This number is at least one. */
  readonly targets: Int32Array;
  /** Number of documents that are longer than the context. */
  readonly cut: number;
  /** Index of the longest document, and the number of inputs of this document. */
  readonly longest: { readonly document: number; readonly length: number };
  /**
   * Number of pieces of cut documents, and number of these pieces that were left out because the loss counts none of
   * their targets.
   */
  readonly piecesOfCut: number;
  readonly leftOut: number;
}

/**
 * Divides all documents into pieces, in order. A document that fits into the context is one piece. A longer document is
 * cut after every `contextLength` tokens. Every token except a document's first is the target of one piece. Pieces
 * without a counted target are left out.
 */
export const piecesOf = (documents: Documents, contextLength: number): Pieces => {
  const { counted, starts } = documents;
  const [from, lengths, targets]: [number[], number[], number[]] = [[], [], []];
  let [cut, piecesOfCut, leftOut] = [0, 0, 0];
  let longest = { document: 0, length: 0 };
  for (let document = 0; document < documentCount(documents); document++) {
    const start = starts[document] as number;
    const inputs = (starts[document + 1] as number) - start - 1;
    if (inputs > longest.length) longest = { document, length: inputs };
    const isCut = inputs > contextLength;
    if (isCut) cut++;
    for (let at = 0; at < inputs; at += contextLength) {
      const length = Math.min(contextLength, inputs - at);
      let count = 0;
      for (let t = start + at + 1; t <= start + at + length; t++) count += counted[t] as number;
      if (isCut) piecesOfCut++;
      if (count === 0) {
        if (isCut) leftOut++;
        continue;
      }
      from.push(start + at);
      lengths.push(length);
      targets.push(count);
    }
  }
  return {
    from: Int32Array.from(from),
    lengths: Int32Array.from(lengths),
    targets: Int32Array.from(targets),
    ...{ cut, longest, piecesOfCut, leftOut },
  };
};

/**
 * Makes a batch of one row, in which pieces follow one another. Attention never crosses from one piece to another.
 * Targets that do not count are −1.
 */
export const batchOfPieces = ({ ids, counted }: Documents, pieces: Pieces, chosen: ArrayLike<number>): Batch => {
  const segments = Array.from(chosen, (piece) => pieces.lengths[piece] as number);
  const time = segments.reduce((sum, length) => sum + length, 0);
  const [x, y] = [new Int32Array(time), new Int32Array(time)];
  let at = 0;
  for (const [i, length] of segments.entries()) {
    const from = pieces.from[chosen[i] as number] as number;
    x.set(ids.subarray(from, from + length), at);
    for (let t = 0; t < length; t++) {
      const target = from + t + 1;
      y[at + t] = counted[target] === 1 ? (ids[target] as number) : -1;
    }
    at += length;
  }
  return { x, y, rows: 1, time, segments };
};

/**
 * Maximum number of open rows. A piece can be added to any open row. With more open rows, rows are fuller, but packing
 * takes longer.
 */
const mostOpen = 32;

/** The rows of one epoch. Row r contains the pieces `pieces[ends[r − 1] … ends[r])`. */
interface Epoch {
  readonly pieces: Int32Array;
  readonly ends: Int32Array;
}

/**
 * Packs pieces in `order`. Each piece is added to the fullest open row that has room for it. If no row has room, the
 * piece begins a new row.
 */
const packed = (lengths: Int32Array, order: Int32Array, contextLength: number): Epoch => {
  const pieces = new Int32Array(order.length);
  const ends: number[] = [];
  let done = 0;
  // Open rows, the oldest first.
  const open: { room: number; readonly pieces: number[] }[] = [];
  const close = (index: number): void => {
    const [row] = open.splice(index, 1);
    pieces.set(row?.pieces ?? [], done);
    done += row?.pieces.length ?? 0;
    ends.push(done);
  };
  const fullest = (least: number): number => {
    let best = -1;
    for (const [i, { room }] of open.entries()) {
      if (room >= least && (best === -1 || room < (open[best]?.room ?? 0))) best = i;
    }
    return best;
  };
  for (const piece of order) {
    const length = lengths[piece] as number;
    let index = fullest(length);
    if (index === -1) {
      if (open.length === mostOpen) close(fullest(0));
      index = open.push({ room: contextLength, pieces: [] }) - 1;
    }
    const row = open[index];
    if (row === undefined) continue;
    row.room -= length;
    row.pieces.push(piece);
    if (row.room === 0) close(index);
  }
  while (open.length > 0) close(0);
  return { pieces, ends: Int32Array.from(ends) };
};

/** Training rows, numbered across all epochs. */
export interface DocumentRows {
  readonly pieces: Pieces;
  /** Number of rows of the first epoch. Later epochs have about the same number of rows. */
  readonly perEpoch: number;
  /** The pieces of row `number`. The pieces depend only on the seed and on `number`. */
  row(number: number): Int32Array;
}

/** Values that determine the rows, in addition to the documents. */
export interface RowOptions {
  readonly contextLength: number;
  readonly kind: RowKind;
  readonly seed: number;
}

/** Number of epochs that are kept in memory. A step may begin in one epoch and end in the next epoch. */
const mostKept = 2;

/** @param documents must have at least one token that the loss counts. */
export const documentRows = (documents: Documents, { contextLength, kind, seed }: RowOptions): DocumentRows => {
  const pieces = piecesOf(documents, contextLength);
  const { lengths } = pieces;
  const kept = new Map<number, Epoch>();
  /** Number of rows up to the end of each epoch, for all epochs that have been made so far. */
  const totals: number[] = [];

  const make = (number: number): Epoch => {
    const { integer } = randomStream(randomKey(seed, "batches", number));
    const order = shuffled(lengths.length, integer);
    if (kind === "packed") return packed(lengths, order, contextLength);
    return { pieces: order, ends: Int32Array.from(order, (_, i) => i + 1) };
  };
  const epoch = (number: number): Epoch => {
    const found = kept.get(number) ?? make(number);
    kept.delete(number);
    kept.set(number, found);
    for (const [oldest] of kept) if (kept.size > mostKept) kept.delete(oldest);
    return found;
  };
  const totalBefore = (number: number): number => (number === 0 ? 0 : (totals[number - 1] ?? 0));
  /** The epoch to which a row belongs. */
  const epochOf = (row: number): number => {
    if (kind === "one") return Math.floor(row / lengths.length);
    while ((totals.at(-1) ?? 0) <= row) totals.push((totals.at(-1) ?? 0) + epoch(totals.length).ends.length);
    let [low, high] = [0, totals.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((totals[middle] ?? 0) > row) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {
    pieces,
    perEpoch: epoch(0).ends.length,
    row(number) {
      const index = epochOf(number);
      const { pieces: all, ends } = epoch(index);
      const row = number - (kind === "one" ? index * lengths.length : totalBefore(index));
      return all.subarray(row === 0 ? 0 : ends[row - 1], ends[row]);
    },
  };
};

/** Size of a batch: number of tokens that the model reads, and number of targets that the loss counts. */
export interface BatchSize {
  readonly tokens: number;
  readonly targets: number;
}

/** Size of rows [from, to). */
export const sizeOfRows = ({ row, pieces }: DocumentRows, from: number, to: number): BatchSize => {
  let [tokens, targets] = [0, 0];
  for (let number = from; number < to; number++) {
    for (const piece of row(number)) {
      tokens += pieces.lengths[piece] as number;
      targets += pieces.targets[piece] as number;
    }
  }
  return { tokens, targets };
};

/** A forward pass without tokens. Such a pass occurs if the documents of a micro-batch fit into fewer passes. */
const emptyPass: Batch = { x: new Int32Array(0), y: new Int32Array(0), rows: 0, time: 0, segments: [] };

/**
 * Divides rows [from, to) into exactly `passes` forward passes. Each pass contains whole rows, in order.
 * A pass has at most ⌈(to − from) / passes⌉ · contextLength tokens. Each pass gets all rows that fit, so the last passes
 * may be empty.
 * @param range range of passes to make. Default: all.
 */
export function* passesOfRows(
  documents: Documents,
  { row, pieces }: DocumentRows,
  { from, to, passes, contextLength }: Readonly<Record<"from" | "to" | "passes" | "contextLength", number>>,
  range: PassRange = { from: 0, to: passes },
): Generator<Batch, void, undefined> {
  const room = Math.ceil((to - from) / passes) * contextLength;
  let chosen: number[] = [];
  let length = 0;
  let pass = 0;
  for (let number = from; number < to && pass < range.to; number++) {
    const added = row(number);
    const more = added.reduce((sum, piece) => sum + (pieces.lengths[piece] as number), 0);
    if (length + more > room) {
      if (pass >= range.from) yield batchOfPieces(documents, pieces, chosen);
      pass++;
      chosen = [];
      length = 0;
    }
    chosen.push(...added);
    length += more;
  }
  if (pass >= range.from && pass < range.to) yield batchOfPieces(documents, pieces, chosen);
  for (pass = Math.max(pass + 1, range.from); pass < range.to; pass++) yield emptyPass;
}

/**
 * Returns functions that make batches of all pieces, in order. A batch has at most about `tokens` tokens. A batch is
 * made only when its function is called.
 */
export function* piecesToMake(
  documents: Documents,
  pieces: Pieces,
  tokens: number,
): Generator<MakeBatch, void, undefined> {
  const making = (chosen: readonly number[]) => (): Batch => batchOfPieces(documents, pieces, chosen);
  let chosen: number[] = [];
  let length = 0;
  for (const [piece, more] of pieces.lengths.entries()) {
    if (chosen.length > 0 && length + more > tokens) {
      yield making(chosen);
      chosen = [];
      length = 0;
    }
    chosen.push(piece);
    length += more;
  }
  if (chosen.length > 0) yield making(chosen);
}
