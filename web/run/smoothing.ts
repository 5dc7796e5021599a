/** Window sizes for averaging a training loss, one per slider position. */
export const windows: readonly number[] = [1, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Curves with fewer steps are not smoothed by default. */
const leastSteps = 2000;

/**
 * Default window: about 1% of the steps of a long run. Without smoothing, the losses of a long run would be unreadable.
 */
export const usualWindow = (steps: number): number =>
  steps < leastSteps ? 1 : (windows.findLast((size) => size <= steps / 100) ?? 1);

/** Window from the address, or the default for `steps` steps. */
export const windowOf = (query: URLSearchParams, steps: number): number =>
  windows.find((size) => String(size) === query.get("smooth")) ?? usualWindow(steps);
