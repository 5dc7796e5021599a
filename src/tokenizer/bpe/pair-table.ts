/**
 * Hash table that gives each distinct pair of ids a number. The numbers begin at 0 and follow the order of insertion.
 * The table uses typed arrays, open addressing and linear probing.
 */
export interface PairTable {
  /** Number of pairs. */
  readonly size: number;
  /** Returns the index of a pair, or -1 if the pair is not in the table. */
  find(left: number, right: number): number;
  /** Returns the index of a pair. A new pair is added. */
  add(left: number, right: number): number;
  left(index: number): number;
  right(index: number): number;
}

/** Copy of `array` with twice its length. */
export const doubled = (array: Int32Array): Int32Array<ArrayBuffer> => {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
};

const hashPair = (left: number, right: number): number => {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 0;
};

/** @param expected expected number of pairs. The table grows if there are more pairs. */
export const pairTable = (expected = 16): PairTable => {
  let slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * Math.max(16, expected)))).fill(-1);
  let lefts = new Int32Array(slots.length / 2);
  let rights = new Int32Array(slots.length / 2);
  let size = 0;

  /** The slot of a pair, or the free slot for a new pair. */
  const slotOf = (left: number, right: number): number => {
    const mask = slots.length - 1;
    let slot = (hashPair(left, right) >>> 4) & mask;
    for (let index = slots[slot] as number; index !== -1; index = slots[slot] as number) {
      if (lefts[index] === left && rights[index] === right) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  };

  const grow = (): void => {
    lefts = doubled(lefts);
    rights = doubled(rights);
    slots = new Int32Array(2 * slots.length).fill(-1);
    for (let index = 0; index < size; index++) slots[slotOf(lefts[index] as number, rights[index] as number)] = index;
  };

  return {
    get size() {
      return size;
    },
    find: (left, right) => slots[slotOf(left, right)] as number,
    add: (left, right) => {
      const slot = slotOf(left, right);
      const known = slots[slot] as number;
      if (known !== -1) return known;
      slots[slot] = size;
      lefts[size] = left;
      rights[size] = right;
      size++;
      if (size === lefts.length) grow();
      return size - 1;
    },
    left: (index) => lefts[index] as number,
    right: (index) => rights[index] as number,
  };
};
