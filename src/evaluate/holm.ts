/**
 * Corrects the p-values of several comparisons. The probability of one or more false differences then stays below the
 * significance level (Holm 1979, "A simple sequentially rejective multiple test procedure"). The smallest of m p-values
 * is multiplied by m, the next p-value by m − 1, and so on. Each result is at least the previous result.
 * @param pValues null for a comparison without a p-value; such a comparison does not count.
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
