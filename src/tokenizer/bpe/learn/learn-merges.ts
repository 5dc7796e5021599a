/**
 * Learns merges. Repeatedly, the most frequent pair of neighbouring symbols becomes a new symbol. Among equally
 * frequent pairs, the pair with the lowest left id is chosen. If the left ids are equal, the lowest right id decides.
 * The library `tokenizers` has the same rule, so it learns the same merges.
 */
import { bytesInOrder } from "../byte-alphabet.ts";
import { pairTable } from "../pair-table.ts";
import type { PieceCounts } from "./count-pieces.ts";
import { neighbourCounts } from "./neighbour-counts.ts";
import { pairLists } from "./pair-lists.ts";
import { pairQueue } from "./pair-queue.ts";
import { boundary, wordsOf } from "./words.ts";

/** Minimum frequency of a pair. A pair that occurs only once says nothing about other texts. */
const leastCount = 2;

/** Ids of the left symbol, the right symbol and the merged symbol. */
export type LearnedMerge = readonly [left: number, right: number, merged: number];

const symbolOfByte = (): Int32Array => {
  const ids = new Int32Array(256);
  for (const [id, byte] of bytesInOrder.entries()) ids[byte] = id;
  return ids;
};

/**
 * Learns at most `most` new symbols. Symbols 0 to 255 are the bytes in the order of GPT-2's alphabet; the ids of new
 * symbols follow.
 * @returns the merges in the order in which they are learned. If two pairs give the same text, the list has more merges
 * than new symbols.
 */
export const learnMerges = (counted: PieceCounts, most: number): readonly LearnedMerge[] => {
  const words = wordsOf(counted, symbolOfByte());
  const { row, counts } = words;
  const table = pairTable(2 ** 16);
  const lists = pairLists(table, words);
  const queue = pairQueue(table);
  for (let pair = 0; pair < table.size; pair++) queue.push(pair, lists.count(pair));

  /** Texts of the symbols. Each byte is written as the character with the byte's id as its code. */
  const texts = Array.from({ length: 256 }, (_, id) => String.fromCharCode(id));
  /** Length of each symbol in bytes. */
  const lengths = new Int32Array(256 + most).fill(1, 0, 256);
  const idOfText = new Map(texts.map((text, id) => [text, id]));
  const before = neighbourCounts(256 + most);
  const after = neighbourCounts(256 + most);
  const learned: LearnedMerge[] = [];

  /** Merges the pair (left, right) at a place and records the neighbours of the new symbol. */
  const mergeAt = (at: number, left: number, right: number, merged: number): void => {
    const middle = at + (lengths[left] as number);
    // An overlapping merge may already have used the left or the right symbol.
    if (row[at] !== left || row[middle] !== right) return;
    const end = middle + (lengths[right] as number);
    const count = counts[at] as number;
    const previous = row[at - 1] as number;
    if (previous !== boundary) {
      const from = previous < 0 ? at + previous : at - 1;
      before.note(row[from] as number, from, count);
    }
    row[at] = merged;
    row[middle] = -1;
    row[end - 1] = at - end;
    if (row[end] !== boundary) after.note(row[end] as number, at, count);
  };

  const merge = (pair: number): void => {
    const left = table.left(pair);
    const right = table.right(pair);
    const text = (texts[left] as string) + (texts[right] as string);
    const merged = idOfText.get(text) ?? texts.push(text) - 1;
    idOfText.set(text, merged);
    learned.push([left, right, merged]);
    lengths[merged] = text.length;
    for (const place of lists.places(pair)) mergeAt(place, left, right, merged);
    const grown: number[] = [];
    before.take((neighbour, count, places) => {
      lists.addCount(table.add(neighbour, left), -count);
      const made = table.add(neighbour, merged);
      lists.addCount(made, count);
      lists.addPlaces(made, places);
      grown.push(made);
    });
    after.take((neighbour, count, places) => {
      lists.addCount(table.add(right, neighbour), -count);
      const made = table.add(merged, neighbour);
      lists.addCount(made, count);
      lists.addPlaces(made, places);
      grown.push(made);
    });
    // The pair was merged at all its places, so its count is set to 0. Overlapping pairs were subtracted more than
    // once.
    lists.clear(pair);
    for (const made of grown) if (lists.count(made) > 0) queue.push(made, lists.count(made));
  };

  while (texts.length < 256 + most) {
    const pair = queue.pop();
    if (pair === -1 || queue.count() < leastCount) break;
    // If a pair's count falls, the queue is not updated, so the queue may contain a higher count. If a pair's count
    // rises, the pair is pushed into the queue again.
    const count = lists.count(pair);
    if (count === queue.count()) merge(pair);
    else if (count > 0) queue.push(pair, count);
  }
  return learned;
};
