/**
 * The slices of a pass: groups of its rows that go through the model one after another. The gradient of each slice is
 * added to the gradients of the slices before it, in the same array. Only the activations of one slice are in memory,
 * and less of them has left the caches when the backward pass reads them.
 */
import type { TrainerConfig } from "../config/config.ts";
import type { Batch } from "../data/batches.ts";

/**
 * Number of tokens of a slice. The gradient of a weight is read and written once per slice, so a large model has longer
 * slices.
 */
const [shortSlice, longSlice] = [1024, 2048];

/** A model counts as small if its transformer blocks have at most this many weights. */
const fewWeights = 2 ** 22;

/** Maximum number of slices of a pass. */
const mostSlices = 64;

/**
 * Maximum number of tokens of a slice. It depends only on the configuration, so the bits of a step are the same for any
 * number of threads and machines.
 */
export const tokensOfSlice = ({ model }: Pick<TrainerConfig, "model">): number =>
  12 * model.nLayer * model.nEmbd ** 2 <= fewWeights ? shortSlice : longSlice;

/** Rows [from, to) of a batch. */
const rowsOf = ({ x, y, time }: Batch, from: number, to: number): Batch => ({
  x: x.subarray(from * time, to * time),
  y: y.subarray(from * time, to * time),
  rows: to - from,
  time,
});

/** Documents of a batch of one row; the first one begins at token `at`. */
const documentsOf = ({ x, y }: Batch, at: number, segments: readonly number[]): Batch => {
  const time = segments.reduce((sum, length) => sum + length, 0);
  return { x: x.subarray(at, at + time), y: y.subarray(at, at + time), rows: 1, time, segments };
};

/** Groups consecutive documents: as many as fit into `tokens`, at least one. */
const groupsOf = (segments: readonly number[], tokens: number): number[][] => {
  const groups: number[][] = [];
  let room = 0;
  for (const length of segments) {
    if (length > room || groups.length === 0) {
      groups.push([]);
      room = tokens;
    }
    groups.at(-1)?.push(length);
    room -= length;
  }
  return groups;
};

/**
 * Divides a pass into slices of at most `tokens` tokens, in order. A row or a document is never cut, so it may be
 * longer than that. Only the last slice of a pass of rows may be shorter than the others. A pass without tokens has no
 * slices. A pass has at most `mostSlices` slices, longer ones if need be.
 */
export const slicesOf = (pass: Batch, tokens: number): Batch[] => {
  const { x, rows, time, segments } = pass;
  if (x.length === 0) return [];
  // Two successive groups of documents together are longer than `most` tokens.
  const most = Math.max(tokens, Math.ceil((2 * x.length) / mostSlices));
  if (segments !== undefined) {
    let at = 0;
    return groupsOf(segments, most).map((group) => {
      const slice = documentsOf(pass, at, group);
      at += slice.time;
      return slice;
    });
  }
  const ofEach = Math.max(1, Math.floor(most / time));
  return Array.from({ length: Math.ceil(rows / ofEach) }, (_, i) =>
    rowsOf(pass, i * ofEach, Math.min((i + 1) * ofEach, rows)),
  );
};
