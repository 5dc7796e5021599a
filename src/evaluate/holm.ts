/**
 * p-values for several comparisons at once, corrected so that the probability of even one false difference stays below the level at
 * which they are read (Holm 1979, "A simple sequentially rejective multiple test procedure"): the smallest of m is multiplied by m,
 * the next one by m − 1, and so on; none is below one before it.
 * @param pValues null: a comparison without one, which is not counted.
 */
export const holm = (pValues: readonly (number | null)[]): readonly (number | null)[] => {
  const known = pValues.flatMap((value, place) => (value === null ? [] : [{ value, place }]));
  const adjusted: (number | null)[] = pValues.map(() => null);
  let most = 0;
  for (const [rank, { value, place }] of known.toSorted((a, b) => a.value - b.value).entries()) {
    most = Math.max(most, Math.min(1, value * (known.length - rank)));
    adjusted[place] = most;
  }
  return adjusted;
};
