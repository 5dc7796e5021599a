/** Sweeps with made-up losses, to count how often a stopping rule stops the best setting. */
import { randomKey, randomStream } from "../../dist/core/random.js";
import { schedule } from "../../dist/sweep/schedule.js";

const seeds = 3;
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const lowest = (numbers) => numbers.indexOf(Math.min(...numbers));

/** Endings and trained runs of a sweep. @param losses one row for each setting, one column for each seed. */
const swept = (losses, stop) => {
  const plans = losses.map(() => ({ steps: 100, evalInterval: 10 }));
  const going = schedule({ settings: plans, seeds, stop, jobs: 1 });
  const measured = {
    loss: ({ setting, seed }) => losses[setting][seed],
    steps: ({ until }) => until,
    failure: () => null,
    minutes: 0,
    minutesPerStep: () => 0,
  };
  let runs = 0;
  let next = going.next();
  while (next.done !== true) {
    runs += next.value.length;
    next = going.next(measured);
  }
  return { runs, endings: next.value };
};

/**
 * Means over sweeps whose losses are normally distributed. A run's loss is the sum of the setting's level, the seed's
 * level and noise. The noise has standard deviation 1.
 * @param spread standard deviation of the settings' levels.
 */
export const simulated = ({ settings, spread, stop, sweeps }) => {
  const stream = randomStream(randomKey(settings + 100 * spread, "sampling"));
  const found = Array.from({ length: sweeps }, () => {
    const levels = Array.from({ length: settings }, () => spread * stream.normal());
    const shared = Array.from({ length: seeds }, () => stream.normal());
    const losses = levels.map((level) => shared.map((seed) => 10 + level + seed + stream.normal()));
    const { runs, endings } = swept(losses, stop);
    const means = losses.map(mean);
    const winner = lowest(means.map((one, i) => (endings[i].kind === "finished" ? one : Number.POSITIVE_INFINITY)));
    return {
      saved: 1 - runs / (seeds * settings),
      bestStopped: Number(endings[lowest(levels)].kind !== "finished"),
      otherWinner: Number(winner !== lowest(means)),
      worse: levels[winner] - levels[lowest(means)],
    };
  });
  const meanOf = (field) => mean(found.map((one) => one[field]));
  return {
    saved: meanOf("saved"),
    bestStopped: meanOf("bestStopped"),
    otherWinner: meanOf("otherWinner"),
    worse: meanOf("worse"),
  };
};
