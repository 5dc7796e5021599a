import type { OwnedRange, Team } from "#foretoken/train/steps/team.js";

/** Machines in one process: they wait for each other, exchange, and add pairs, then pairs of pairs. */
export const teamOf = (size: number): readonly Team[] => {
  interface Meeting {
    readonly parts: Float64Array[];
    readonly waiting: ((all: readonly Float64Array[]) => void)[];
  }
  const meetings = new Map<number, Meeting>();
  /** Everybody's numbers, when all have called it for the same time. */
  const exchanger = (rank: number) => {
    let count = 0;
    return (part: ArrayLike<number>): Promise<readonly Float64Array[]> =>
      new Promise((resolve) => {
        const number = count++;
        const meeting = meetings.get(number) ?? { parts: [], waiting: [] };
        meetings.set(number, meeting);
        meeting.parts[rank] = Float64Array.from(part);
        meeting.waiting.push(resolve);
        if (meeting.waiting.length < size) return;
        meetings.delete(number);
        for (const go of meeting.waiting) go(meeting.parts);
      });
  };
  const treeSum = (parts: readonly Float64Array[], round: (value: number) => number): Float64Array => {
    let sums = parts;
    while (sums.length > 1) {
      sums = sums.flatMap((one, i) => {
        const other = sums[i + 1];
        return i % 2 === 1 || other === undefined
          ? []
          : [one.map((value, j) => round(value + (other[j] ?? Number.NaN)))];
      });
    }
    return sums[0] ?? new Float64Array();
  };
  return Array.from({ length: size }, (_, rank): Team => {
    const exchange = exchanger(rank);
    return {
      rank,
      size,
      async reduceScatter(array, ranges) {
        const sums = treeSum(await exchange(array), Math.fround);
        // Of others' elements a machine has a sum over some machines: here of three of itself.
        const partial = array.map((value) => 3 * value);
        for (const range of ranges) fill(array, range, range.owner === rank ? sums : partial);
      },
      async allGather(array, ranges) {
        const all = await exchange(array);
        for (const range of ranges) fill(array, range, all[range.owner]);
      },
      total: async (value) => treeSum(await exchange([value]), (sum) => sum)[0] ?? Number.NaN,
    };
  });
};

const fill = (array: Float32Array, { from, to }: OwnedRange, values: ArrayLike<number> | undefined): void => {
  for (let i = from; i < to; i++) array[i] = values?.[i] ?? Number.NaN;
};
