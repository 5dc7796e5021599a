import { spend } from "../budget.ts";
import { type CharSet, pairsOf } from "./char-set.ts";

/**
 * All code points, divided into ranges. Each range belongs to a class. Automata that use the partition treat all
 * characters of a class in the same way.
 */
export interface Partition {
  /** First code point of each range. The first range begins at code point 0. */
  readonly starts: readonly number[];
  /** Class of each range, or -1 for halves of surrogate pairs, which are not characters. */
  readonly classes: readonly number[];
  readonly count: number;
}

/** The index of the range that contains a code point. */
export const rangeOf = ({ starts }: Partition, code: number): number => {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= code) low = middle;
    else high = middle - 1;
  }
  return low;
};

export const classOf = (partition: Partition, code: number): number =>
  partition.classes[rangeOf(partition, code)] as number;

/**
 * The coarsest partition in which each set is a union of classes. `members` lists the classes of each set.
 * @param where the part of a constraint that contains the sets, for errors.
 */
export const partitionOf = (
  sets: readonly CharSet[],
  where = "constraint",
): { partition: Partition; members: readonly number[][] } => {
  const events: (readonly [number, number, boolean])[] = [
    [0xd800, -1, true],
    [0xe000, -1, false],
    ...sets.flatMap((set, i) =>
      pairsOf(set).flatMap(
        ([from, to]) =>
          [
            [from, i, true],
            [to + 1, i, false],
          ] as const,
      ),
    ),
  ];
  events.sort((a, b) => a[0] - b[0]);
  const starts: number[] = [];
  const classes: number[] = [];
  const members: number[][] = sets.map(() => []);
  const known = new Map<string, number>();
  const current = new Set<number>();
  let next = 0;
  for (let code = 0; ; ) {
    while (next < events.length && (events[next]?.[0] ?? 0) <= code) {
      spend(2, where);
      const [, set, begins] = events[next++] ?? [0, 0, false];
      if (begins) current.add(set);
      else current.delete(set);
    }
    let index = -1;
    if (!current.has(-1)) {
      spend(1 + 3 * current.size, where);
      const inside = [...current].sort((a, b) => a - b);
      const key = inside.join();
      index = known.get(key) ?? known.size;
      if (!known.has(key)) {
        known.set(key, index);
        for (const set of inside) members[set]?.push(index);
      }
    }
    if (classes.at(-1) !== index || classes.length === 0) {
      starts.push(code);
      classes.push(index);
    }
    const following = events[next]?.[0];
    if (following === undefined || following > 0x10ffff) break;
    code = following;
  }
  return { partition: { starts, classes, count: known.size }, members };
};

/**
 * The coarsest partition that refines both `a` and `b`. For each class of the new partition, `pairs` contains the class
 * in `a` and the class in `b` that include it.
 */
export const refined = (a: Partition, b: Partition): { partition: Partition; pairs: (readonly [number, number])[] } => {
  const starts: number[] = [];
  const classes: number[] = [];
  const known = new Map<number, number>();
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0, j = 0; i < a.starts.length && j < b.starts.length; ) {
    const left = a.classes[i] as number;
    const right = b.classes[j] as number;
    let index = -1;
    if (left >= 0 && right >= 0) {
      const key = left * b.count + right;
      index = known.get(key) ?? -1;
      if (index < 0) {
        index = pairs.length;
        known.set(key, index);
        pairs.push([left, right]);
      }
    }
    if (classes.at(-1) !== index || classes.length === 0) {
      starts.push(Math.max(a.starts[i] as number, b.starts[j] as number));
      classes.push(index);
    }
    const nextLeft = a.starts[i + 1] ?? Number.POSITIVE_INFINITY;
    const nextRight = b.starts[j + 1] ?? Number.POSITIVE_INFINITY;
    if (nextLeft <= nextRight) i++;
    if (nextRight <= nextLeft) j++;
  }
  return { partition: { starts, classes, count: pairs.length }, pairs };
};
