/** The index of the largest value among `best` and [from, to). */
const largerOf = (values: Float32Array, from: number, to: number, best: number): number => {
  let largest = best;
  for (let i = from; i < to; i++) if ((values[i] as number) > (values[largest] as number)) largest = i;
  return largest;
};

/** Number of values that are compared at once. */
const together = 8;

/**
 * The index of the largest value: the first one, if several are equal. No value is larger than NaN, and NaN is larger
 * than no value; so if the first value is NaN, it is 0.
 *
 * A value that is larger than all before it is rare. So the loop only asks whether there is one among the next 8. With
 * 50,000 values this takes a third of the time of comparing them one by one.
 */
export const argmax = (values: Float32Array): number => {
  const whole = values.length - (values.length % together);
  let best = 0;
  let largest = values[0] as number;
  for (let i = 0; i < whole; i += together) {
    if (
      (values[i] as number) > largest ||
      (values[i + 1] as number) > largest ||
      (values[i + 2] as number) > largest ||
      (values[i + 3] as number) > largest ||
      (values[i + 4] as number) > largest ||
      (values[i + 5] as number) > largest ||
      (values[i + 6] as number) > largest ||
      (values[i + 7] as number) > largest
    ) {
      best = largerOf(values, i, i + together, best);
      largest = values[best] as number;
    }
  }
  return largerOf(values, whole, values.length, best);
};
