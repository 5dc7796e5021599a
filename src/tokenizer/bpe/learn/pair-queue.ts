/**
 * Priority queue of pairs. The pair with the highest count comes first. Among pairs with equal counts, the pair with
 * the lowest ids comes first.
 */
import { doubled, type PairTable } from "../pair-table.ts";

export interface PairQueue {
  push(pair: number, count: number): void;
  /**
   * Removes and returns the first pair, or -1 if the queue is empty. `count()` then returns the count with which this
   * pair was pushed.
   */
  pop(): number;
  count(): number;
}

export const pairQueue = (table: PairTable): PairQueue => {
  let pairs = new Int32Array(2 ** 10);
  let counts = new Float64Array(2 ** 10);
  let size = 0;
  let popped = 0;

  const grow = (): void => {
    pairs = doubled(pairs);
    const larger = new Float64Array(2 * counts.length);
    larger.set(counts);
    counts = larger;
  };

  /** Whether a pair comes before the pair at index `other` of the heap. */
  const comesFirst = (pair: number, count: number, other: number): boolean => {
    if (count !== counts[other]) return count > (counts[other] as number);
    const rival = pairs[other] as number;
    const byLeft = table.left(pair) - table.left(rival);
    return byLeft !== 0 ? byLeft < 0 : table.right(pair) < table.right(rival);
  };

  const place = (at: number, pair: number, count: number): void => {
    pairs[at] = pair;
    counts[at] = count;
  };

  return {
    push: (pair, count) => {
      if (size === pairs.length) grow();
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!comesFirst(pair, count, parent)) break;
        place(at, pairs[parent] as number, counts[parent] as number);
        at = parent;
      }
      place(at, pair, count);
    },
    pop: () => {
      if (size === 0) return -1;
      const first = pairs[0] as number;
      popped = counts[0] as number;
      size--;
      const pair = pairs[size] as number;
      const count = counts[size] as number;
      let at = 0;
      for (let child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && comesFirst(pairs[child + 1] as number, counts[child + 1] as number, child)) child++;
        if (comesFirst(pair, count, child)) break;
        place(at, pairs[child] as number, counts[child] as number);
        at = child;
      }
      place(at, pair, count);
      return first;
    },
    count: () => popped,
  };
};
