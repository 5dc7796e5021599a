/** Scale of the map of heads. */

export interface LossScale {
  /** Size of the largest change, which has the full shade. */
  readonly largest: number;
  /** Meanings of the two ends of the legend and of its middle. */
  readonly labels: readonly [string, string, string];
  /** Strengths of the shades at the two ends. The largest fall may have a lighter shade than the largest rise. */
  readonly ends: readonly [number, number];
}

/** Scale of changes of the loss. Equal changes up and down have equal shades. */
export const lossScale = (changes: Iterable<number>): LossScale => {
  const all = [...changes];
  const [fall, rise] = [Math.max(0, ...all.map((one) => -one)), Math.max(0, ...all)];
  const largest = Math.max(fall, rise);
  const share = (size: number): number => (largest === 0 ? 1 : size / largest);
  const label = (words: string, none: string, size: number): string =>
    size > 0 ? `${words} by ${size.toFixed(4)}` : all.length === 0 ? words : none;
  return {
    largest,
    labels: [label("the loss falls", "no fall", fall), "no change", label("it rises", "no rise", rise)],
    ends: [share(fall), share(rise)],
  };
};
