/** Reduces the points of a curve to the points that a chart's columns can show. Minima and maxima are not lost. */

/** Points, sorted by x. */
export interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** Maximum number that is drawn. The sum of two larger numbers could be infinite. */
const largest = 1e300;
const isDrawable = (value: number | undefined): value is number => Math.abs(value ?? Number.NaN) <= largest;

/** Points with finite numbers. If `positive` is set, only points with numbers above 0. */
export const drawable = ({ x, y }: Points, positive: boolean): Points => {
  const keeps = y.map((value, i) => isDrawable(value) && isDrawable(x[i]) && (!positive || value > 0));
  if (keeps.every(Boolean)) return { x, y };
  return { x: x.filter((_, i) => keeps[i]), y: y.filter((_, i) => keeps[i]) };
};

/** Lowest and highest number of all lists. Undefined if the lists are empty. The lists may be very long. */
export const rangeOf = (lists: readonly (readonly number[])[]): { low: number; high: number } | undefined => {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const list of lists) {
    for (const value of list) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? { low, high } : undefined;
};

/**
 * Mean of each number and its neighbours: up to `reach` numbers before it, and at most the same number after it. Near
 * the beginning, where curves are steep, both sides have the same number of neighbours.
 */
export const smoothed = (values: readonly number[], reach: number): readonly number[] => {
  if (reach === 0) return values;
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, i) => {
    sums[i + 1] = (sums[i] as number) + value;
  });
  return values.map((_, i) => {
    const before = Math.min(reach, i);
    const after = Math.min(before, values.length - 1 - i);
    return ((sums[i + after + 1] as number) - (sums[i - before] as number)) / (before + after + 1);
  });
};

/** Indices of the points in one column of a chart: the first, the last, the lowest and the highest. */
export interface Column {
  readonly first: number;
  readonly last: number;
  readonly lowest: number;
  readonly highest: number;
}

/** @param columnOf returns the column of an x. For a larger x, the column must not be smaller. */
export const columnsOf = ({ x, y }: Points, columnOf: (x: number) => number): readonly Column[] => {
  const columns: Column[] = [];
  for (let first = 0; first < x.length; ) {
    const own = columnOf(x[first] as number);
    let [last, lowest, highest] = [first, first, first];
    for (let i = first + 1; i < x.length && columnOf(x[i] as number) === own; i++) {
      last = i;
      if ((y[i] as number) < (y[lowest] as number)) lowest = i;
      if ((y[i] as number) > (y[highest] as number)) highest = i;
    }
    columns.push({ first, last, lowest, highest });
    first = last + 1;
  }
  return columns;
};

/**
 * The first, lowest, highest and last point of each column. A line through these points looks the same as a line
 * through all points.
 */
export const enough = (points: Points, columns: readonly Column[]): Points => {
  const places = columns.flatMap(({ first, last, lowest, highest }) =>
    [...new Set([first, lowest, highest, last])].sort((a, b) => a - b),
  );
  if (places.length === points.x.length) return points;
  return { x: places.map((i) => points.x[i] as number), y: places.map((i) => points.y[i] as number) };
};
