/**
 * Index of the first number that is not finite, or -1. The loop is faster than findIndex, which would take seconds for
 * a large model.
 */
export const firstNotFinite = (values: ArrayLike<number>): number => {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
};
