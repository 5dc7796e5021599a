/**
 * Counts the steps that the stopping rules of `foretoken sweep` save. Checks whether they find the same winner. The
 * script uses the finished trainings of docs/recipe.md, "The defaults for a text of your own".
 *
 *     node bench/stopping-rules.mjs [--results bench/results/defaults.jsonl]
 *
 * A sweep consists of all settings of one text that were trained with three seeds. Losses are from the part of the text
 * for the choice. The winner is the setting with the lowest mean final loss. Each sweep is simulated with every order
 * of the seeds.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { schedule } from "../dist/sweep/schedule.js";
import { textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({ options: { results: { type: "string", default: "bench/results/defaults.jsonl" } } });
const trainings = readFileSync(values.results, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line));
const seeds = [1, 2, 3];
const orders = [
  [1, 2, 3],
  [1, 3, 2],
  [2, 1, 3],
  [2, 3, 1],
  [3, 1, 2],
  [3, 2, 1],
];
const rules = {
  race: { kind: "race", error: 0.05 },
  halving: { kind: "halving", stages: [0.25, 0.5] },
};

const lossUntil = ({ curve }, until) =>
  Math.min(...curve.filter(({ step }) => step <= until).map(({ choose }) => choose));
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** Settings of a text, with one training for each seed. */
const settingsOf = (text) => {
  const own = trainings.filter((one) => one.text === text);
  return [...new Set(own.map(({ variation }) => variation))]
    .map((variation) => ({
      variation,
      bySeed: new Map(own.filter((one) => one.variation === variation).map((one) => [one.seed, one])),
    }))
    .filter(({ bySeed }) => seeds.every((seed) => bySeed.has(seed)));
};

const swept = (settings, stop, order) => {
  const trainingOf = ({ setting, seed }) => settings[setting].bySeed.get(order[seed]);
  const stepsOf = (part) => Math.min(part.until, trainingOf(part).curve.at(-1).step);
  const done = new Map();
  const plans = settings.map(({ bySeed }) => bySeed.get(1).config.train);
  const going = schedule({ settings: plans, seeds: seeds.length, stop, jobs: 1 });
  let next = going.next();
  while (next.done !== true) {
    for (const part of next.value) done.set(`${part.setting} ${part.seed}`, stepsOf(part));
    next = going.next({
      loss: (part) => lossUntil(trainingOf(part), part.until),
      steps: stepsOf,
      failure: () => null,
      minutes: 0,
      minutesPerStep: () => 0,
    });
  }
  const means = settings.map(({ bySeed }) => mean(seeds.map((seed) => lossUntil(bySeed.get(seed), Infinity))));
  const finished = means.filter((_, i) => next.value[i].kind === "finished");
  const all = settings.flatMap(({ bySeed }) => seeds.map((seed) => bySeed.get(seed).curve.at(-1).step));
  const steps = [...done.values()].reduce((sum, one) => sum + one, 0);
  return {
    saved: 1 - steps / all.reduce((sum, one) => sum + one, 0),
    above: Math.min(...finished) - Math.min(...means),
  };
};

const percent = (share) => `${(100 * share).toFixed(0)}%`;
const texts = [...new Set(trainings.map(({ text }) => text))];
for (const [name, stop] of Object.entries(rules)) {
  const rows = texts.map((text) => {
    const settings = settingsOf(text);
    // Each stage of halving needs an evaluation. Each of these trainings has ten evaluations, one after each tenth of
    // the steps.
    const found = orders.map((order) => swept(settings, stop, order));
    const others = found.filter(({ above }) => above > 0);
    return {
      text,
      settings: settings.length,
      saved: mean(found.map(({ saved }) => saved)),
      others: others.length,
      above: Math.max(...found.map(({ above }) => above)),
    };
  });
  console.log(`\n${name}: mean of the ${orders.length} orders of seeds`);
  console.log(
    textTable([
      ["text", "settings", "steps saved", "another winner", "its loss above"],
      ...rows.map((row) => [
        row.text,
        String(row.settings),
        percent(row.saved),
        `${row.others} of ${orders.length}`,
        row.above.toFixed(3),
      ]),
      [
        "all",
        "",
        percent(mean(rows.map(({ saved }) => saved))),
        `${rows.reduce((sum, { others }) => sum + others, 0)} of ${rows.length * orders.length}`,
        "",
      ],
    ]),
  );
}
