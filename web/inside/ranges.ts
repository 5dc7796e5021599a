/** Lists of whole numbers in words. */

/** Items separated by commas, and “and” before the last item. */
export const listWords = (items: readonly string[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

/** Runs of consecutive numbers. The numbers are sorted. */
export const runsOf = (numbers: readonly number[]): readonly (readonly [number, number])[] => {
  const runs: [number, number][] = [];
  for (const one of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === one - 1) last[1] = one;
    else runs.push([one, one]);
  }
  return runs;
};

/** As `1 to 3 and 5`. The numbers are sorted. */
export const rangesWords = (numbers: readonly number[]): string =>
  listWords(runsOf(numbers).map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)));
