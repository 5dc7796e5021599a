/** Thins columns of steps. All extremes stay. Every remaining row is a logged step with unchanged values. */

/** Columns of equal length. Index i of each column belongs to the same step. `step` is ascending. */
export interface StepColumns {
  readonly step: number[];
  readonly loss: number[];
  readonly learningRate: number[];
  readonly gradNorm: number[];
  readonly tokensPerSecond: number[];
  /** Sum of 1 / `tokensPerSecond` over all steps up to this step. The sum is the time axis of thinned columns. */
  readonly time: number[];
}

/** Columns that keep their lowest and highest values. */
const drawn = ["loss", "learningRate", "gradNorm", "tokensPerSecond"] as const;

/** Maximum number of last steps that are never thinned, because they show a run's current speed. */
const wholeSteps = 1000;

/**
 * Keeps at most `most` rows. The last rows stay. Earlier steps are divided into ranges. In each range, the rows with
 * the lowest and the highest value of each column stay. Ranges begin at multiples of a power of two. So thinning a
 * thinned list gives the same rows as thinning the complete list.
 */
export const thinSteps = (columns: StepColumns, most: number): void => {
  const { step } = columns;
  const whole = Math.min(wholeSteps, most >> 2);
  const thinned = step.length - whole;
  if (step.length <= most || thinned <= 0) return;
  // One range is subtracted. The first range may begin before the first step, so there may be one more range.
  const ranges = Math.max(1, Math.floor((most - whole) / (2 * drawn.length)) - 1);
  const [first, last] = [step[0] as number, step[thinned - 1] as number];
  const width = 2 ** Math.ceil(Math.log2((last - first + 1) / ranges));
  const kept: number[] = [];
  for (let from = 0; from < thinned; ) {
    const range = Math.floor((step[from] as number) / width);
    let to = from + 1;
    while (to < thinned && Math.floor((step[to] as number) / width) === range) to++;
    const extremes = new Set<number>();
    for (const name of drawn) {
      const values = columns[name];
      let [low, high] = [from, from];
      for (let i = from + 1; i < to; i++) {
        if ((values[i] as number) < (values[low] as number)) low = i;
        if ((values[i] as number) > (values[high] as number)) high = i;
      }
      extremes.add(low).add(high);
    }
    kept.push(...[...extremes].sort((a, b) => a - b));
    from = to;
  }
  for (let i = thinned; i < step.length; i++) kept.push(i);
  for (const values of Object.values(columns) as number[][]) {
    // Works in place, because rows only move towards the beginning.
    for (const [to, from] of kept.entries()) values[to] = values[from] as number;
    values.length = kept.length;
  }
};
