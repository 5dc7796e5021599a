/** Counts how often the interval from a stretch of a text contains the difference of two models on the whole text. */
import { randomKey, randomStream } from "../../dist/core/random.js";
import { compareEvaluations } from "../../dist/evaluate/compare.js";
import { studentWithin } from "../../dist/evaluate/half-width.js";

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

/** Windows as an evaluation, with only the fields that a comparison reads. */
const evaluationOf = (windows) => {
  const tokens = sumOf(windows.map((window) => window.tokens));
  const natsPerToken = sumOf(windows.map(({ nats }) => nats)) / tokens;
  return { natsPerToken, natsPerCharacter: natsPerToken, tokens, windows };
};

/** Half the width of the interval around 0 that contains 95% of `errors`. */
const idealOf = (errors) => errors.map(Math.abs).sort((a, b) => a - b)[Math.ceil(0.95 * errors.length) - 1];

const student95 = (degrees) => {
  let [low, high] = [0, 1];
  while (studentWithin(high, degrees) < 0.95) high *= 2;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < 0.95) low = middle;
    else high = middle;
  }
  return high;
};

/**
 * Half the width of the interval for `blocks` independent blocks of windows: Student's t times the standard error of
 * the mean over blocks.
 */
const independent = (one, other, blocks) => {
  const { natsPerToken } = compareEvaluations(one, other);
  const rests = one.windows.map(({ nats, tokens }, i) => nats - other.windows[i].nats - natsPerToken * tokens);
  const begin = (block) => Math.round((block * rests.length) / blocks);
  const sums = Array.from({ length: blocks }, (_, i) => sumOf(rests.slice(begin(i), begin(i + 1))));
  const variance = sumOf(sums.map((sum) => sum * sum)) / (blocks - 1);
  return (student95(blocks - 1) * Math.sqrt(variance * blocks)) / one.tokens;
};

/** Methods to compute an interval, by name. Each method returns half the width of the interval. */
export const estimators = {
  compareEvaluations: (one, other) => compareEvaluations(one, other).halfWidth95?.natsPerToken,
  "windows independent": (one, other) => independent(one, other, one.windows.length),
  "8 blocks independent": (one, other) => independent(one, other, 8),
};

/**
 * Draws stretches of consecutive windows that begin at random places.
 * @returns for each length of stretch: `count`, `covered` and `halfWidth` (a median) of each method, and half the width
 * of an interval that would contain 95% of the errors.
 */
export const coverageOf = ({ one, other }, { lengths, stretches, seed }) => {
  // The last window of a text is shorter.
  const windows = one.length - 1;
  const target = evaluationOf(one).natsPerToken - evaluationOf(other).natsPerToken;
  return lengths.map((length) => {
    const { integer } = randomStream(randomKey(seed, "batches", length));
    const drawn = Array.from({ length: stretches }, () => {
      const from = integer(windows - length + 1);
      const [first, second] = [one, other].map((all) => evaluationOf(all.slice(from, from + length)));
      const error = first.natsPerToken - second.natsPerToken - target;
      const widths = Object.entries(estimators).map(([name, estimate]) => [name, estimate(first, second) ?? null]);
      return { error, widths: Object.fromEntries(widths) };
    });
    const intervals = Object.keys(estimators).map((name) => {
      const made = drawn.filter(({ widths }) => widths[name] !== null);
      const sorted = made.map(({ widths }) => widths[name]).sort((a, b) => a - b);
      const covered = made.filter(({ error, widths }) => Math.abs(error) <= widths[name]).length;
      return [name, { count: made.length, covered, halfWidth: sorted[sorted.length >> 1] }];
    });
    return { length, intervals: Object.fromEntries(intervals), ideal: idealOf(drawn.map(({ error }) => error)) };
  });
};
