/** Whether a process's memory grows, told from samples of it while it works. */

/**
 * How far the floor has risen: the lowest of the last quarter of the samples above the lowest of the first quarter, in the
 * samples' unit. Garbage that waits for its collection lifts single samples, not floors; what is never freed lifts both.
 * @param {readonly number[]} samples taken at equal distances, at least four.
 */
export const floorRise = (samples) => {
  const quarter = Math.floor(samples.length / 4);
  return Math.min(...samples.slice(-quarter)) - Math.min(...samples.slice(0, quarter));
};
