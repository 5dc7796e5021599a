/** Columns of steps made fewer: no extreme is lost, and every row that is kept is a step as it was noted. */

/** Columns of one length: place i of each is of one step; `step` rises. */
export interface StepColumns {
  readonly step: number[];
  readonly loss: number[];
  readonly learningRate: number[];
  readonly gradNorm: number[];
  readonly tokensPerSecond: number[];
  /** Sum of 1 / `tokensPerSecond` up to each step: the time axis of columns from which steps are missing. */
  readonly time: number[];
}

/** Columns whose lowest and highest values are kept. */
const drawn = ["loss", "learningRate", "gradNorm", "tokensPerSecond"] as const;

/** The last steps are all kept: they tell a run's speed. */
const wholeSteps = 1000;

/**
 * Keeps at most `most` rows: the last ones, and the lowest and the highest of each column among equally many steps. Ranges of steps
 * begin at multiples of a power of two, so what was thinned before is thinned again as if it was whole.
 */
export const thinSteps = (columns: StepColumns, most: number): void => {
  const { step } = columns;
  const whole = Math.min(wholeSteps, most >> 2);
  const thinned = step.length - whole;
  if (step.length <= most || thinned <= 0) return;
  // One range more than that begins before the first step's multiple.
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
    // In place: each row moves towards the beginning.
    for (const [to, from] of kept.entries()) values[to] = values[from] as number;
    values.length = kept.length;
  }
};
