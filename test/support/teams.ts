import type { OwnedRange, RunTeam, Team } from "#foretoken/trainer/team.js";

/**
 * A meeting point of machines in one process. In each round, each machine contributes a value and waits for the values
 * of all machines. The machine gets the values in the order of the machines.
 */
const meetingsOf = <T>(size: number): ((rank: number) => (part: T) => Promise<readonly T[]>) => {
  interface Meeting {
    readonly parts: T[];
    readonly waiting: ((all: readonly T[]) => void)[];
  }
  const meetings = new Map<number, Meeting>();
  return (rank) => {
    let count = 0;
    return (part) =>
      new Promise((resolve) => {
        const number = count++;
        const meeting = meetings.get(number) ?? { parts: [], waiting: [] };
        meetings.set(number, meeting);
        meeting.parts[rank] = part;
        meeting.waiting.push(resolve);
        if (meeting.waiting.length < size) return;
        meetings.delete(number);
        for (const go of meeting.waiting) go(meeting.parts);
      });
  };
};

/**
 * Machines in one process. The machines wait for each other and exchange arrays. The machines sum the arrays as a tree:
 * first two arrays at a time, then two of these sums, and so on.
 */
export const teamOf = (size: number): readonly Team[] => {
  const meetings = meetingsOf<Float64Array>(size);
  const add = (one: Float64Array, other: Float64Array, round: (value: number) => number): Float64Array => {
    const sums = new Float64Array(one.length);
    for (let j = 0; j < sums.length; j++) sums[j] = round((one[j] as number) + (other[j] ?? Number.NaN));
    return sums;
  };
  /** Sums, by the result of a meeting. All machines get the same result, so only the first machine computes the sum. */
  const added = new WeakMap<readonly Float64Array[], Float64Array>();
  const treeSum = (parts: readonly Float64Array[], round: (value: number) => number): Float64Array => {
    const known = added.get(parts);
    if (known !== undefined) return known;
    let sums = parts;
    while (sums.length > 1) {
      sums = sums.flatMap((one, i) => {
        const other = sums[i + 1];
        return i % 2 === 1 || other === undefined ? [] : [add(one, other, round)];
      });
    }
    const total = sums[0] ?? new Float64Array();
    added.set(parts, total);
    return total;
  };
  return Array.from({ length: size }, (_, rank): Team => {
    const meet = meetings(rank);
    const exchange = (numbers: ArrayLike<number>) => meet(new Float64Array(numbers));
    return {
      rank,
      size,
      async reduceScatter(array, ranges) {
        checkRanges(array, ranges);
        const sums = treeSum(await exchange(array), Math.fround);
        // Elements that a machine does not own contain a partial sum. In this test, it is three times the machine's own
        // value.
        const partial = array.map((value) => 3 * value);
        for (const range of ranges) fill(array, range, range.owner === rank ? sums : partial);
      },
      async allGather(array, ranges) {
        checkRanges(array, ranges);
        const all = await exchange(array);
        for (const range of ranges) fill(array, range, all[range.owner]);
      },
      giveUp: () => {},
      total: async (value) => treeSum(await exchange([value]), (sum) => sum)[0] ?? Number.NaN,
    };
  });
};

/** Each element has one owner. So machines that send at the same time do not overwrite each other's elements. */
const checkRanges = (array: Float32Array, ranges: readonly OwnedRange[]): void => {
  let end = 0;
  for (const { from, to } of [...ranges].sort((one, other) => one.from - other.from)) {
    if (from < end || to < from || to > array.length) {
      throw new Error(
        `ranges must not overlap, and lie within ${array.length} elements; got [${from}, ${to}) after ${end}`,
      );
    }
    end = to;
  }
};

const fill = (array: Float32Array, { from, to }: OwnedRange, values: ArrayLike<number> | undefined): void => {
  for (let i = from; i < to; i++) array[i] = values?.[i] ?? Number.NaN;
};

/** Machines in one process that gather numbers. @param asked for each machine, the signal that asks it to stop. */
export const gatheringTeam = (
  size: number,
  asked: readonly AbortSignal[] = [],
): readonly Pick<RunTeam, "rank" | "size" | "gather" | "asked" | "agreed">[] => {
  const meetings = meetingsOf<{ readonly values: Float64Array; readonly stops: boolean }>(size);
  return Array.from({ length: size }, (_, rank) => {
    const meet = meetings(rank);
    const agreement = new AbortController();
    return {
      ...{ rank, size, asked: asked[rank], agreed: agreement.signal },
      async gather(values) {
        const all = await meet({ values: values.slice(), stops: asked[rank]?.aborted === true });
        if (all.some(({ stops }) => stops)) agreement.abort();
        return all.map((one) => one.values);
      },
    };
  });
};
