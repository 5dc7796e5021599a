/** Numbers of values over which a training loss is averaged: each position of the slider. */
export const windows: readonly number[] = [1, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Curves of fewer steps are drawn as they are. */
const leastSteps = 2000;

/** Without a choice, about 1 % of the steps of a long run: its single losses would be a thicket. */
export const usualWindow = (steps: number): number =>
  steps < leastSteps ? 1 : (windows.findLast((size) => size <= steps / 100) ?? 1);

/** The window that the address names, or the usual one of a curve of so many steps. */
export const windowOf = (query: URLSearchParams, steps: number): number =>
  windows.find((size) => String(size) === query.get("smooth")) ?? usualWindow(steps);
