/**
 * Compares the default configuration of a text with variations of it: for `docs/recipe.md`, "The defaults for a text of your
 * own". Each setting trains on the first 8 tenths of a text; the next tenth chooses (the weights of a training, and the best
 * setting), and the last tenth measures. So nothing is chosen by the text that it is measured on.
 *
 *   node bench/defaults.mjs --text prose=FILE [--text code=FILE …] [--seeds 1,2,3] [--only default,steps*2] [--jobs 2]
 *                           [--dtype auto] [--results FILE]
 *
 * Trainings that FILE has already are not repeated, so a stopped comparison goes on. Without --results nothing is kept.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { configOfText } from "../dist/train/config/from-text.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";
import { inJobs, resultsIn, trainSetting } from "./lib/text-setting.mjs";
import { variations } from "./lib/variations.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string", multiple: true, default: [] },
    seeds: { type: "string", default: "1,2,3" },
    only: { type: "string", default: Object.keys(variations).join(",") },
    jobs: { type: "string", default: "2" },
    dtype: { type: "string", default: "auto" },
    results: { type: "string" },
  },
});
if (values.text.length === 0) refuse("--text: must name a text, as prose=moby-dick.txt");
const texts = values.text.map((given) => {
  const [, name, file] = /^([^=]+)=(.+)$/u.exec(given) ?? refuse(`--text: must be NAME=FILE; got ${given}`);
  return { name, file };
});
const seeds = values.seeds.split(",").map((seed) => wholeNumber("seeds", seed));
const only = namesOf("only", values.only, Object.keys(variations));
const jobs = wholeNumber("jobs", values.jobs);
/** Shares of the text to train on, and to choose by. The rest is held out. */
const shares = [0.8, 0.1];

const planned = texts.flatMap(({ name, file }) => {
  const characters = [...readFileSync(file, "utf8")];
  const base = configOfText({
    tokens: Math.floor(shares[0] * characters.length),
    vocabSize: new Set(characters).size,
  });
  return only.flatMap((variation) =>
    seeds.map((seed) => {
      const { model, train, tokenizer } = variations[variation](base);
      return { text: name, file, variation, seed, config: { tokenizer, model, train: { ...train, seed } } };
    }),
  );
});

const keyOf = ({ text, config }) => JSON.stringify([text, config]);
const results = resultsIn(values.results, keyOf);

console.log(`${machineLine(machine())}\n`);
await inJobs(
  jobs,
  planned.filter((plan) => !results.has(plan)),
  async ({ text, file, variation, seed, config }) => {
    const trained = await trainSetting({ file, config, shares, threads: 1, dtype: values.dtype });
    results.add({ text, variation, seed, config, ...trained });
    const { chosen, seconds } = trained;
    console.log(
      `${text} ${variation}, seed ${seed}: ${chosen.heldOut.toFixed(3)} held out, at step ${chosen.step} of ${config.train.steps}, in ${seconds.toFixed(0)} s`,
    );
  },
);

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
for (const { name } of texts) {
  const rows = only.map((variation) => {
    const trained = planned
      .filter((plan) => plan.text === name && plan.variation === variation)
      .map((plan) => results.get(plan));
    const heldOut = trained.map(({ chosen }) => chosen.heldOut);
    return {
      variation,
      parameters: trained[0].parameters,
      steps: trained[0].config.train.steps,
      choose: mean(trained.map(({ chosen }) => chosen.choose)),
      heldOut: mean(heldOut),
      range: [Math.min(...heldOut), Math.max(...heldOut)],
    };
  });
  const best = rows.reduce((lowest, row) => (row.choose < lowest.choose ? row : lowest));
  console.log(`\n${name}, nats per character, mean of seeds ${seeds.join(", ")}`);
  console.log(
    textTable([
      ["setting", "parameters", "steps", "chosen by", "held out", "range"],
      ...rows.map((row) => [
        row === best ? `${row.variation} (best)` : row.variation,
        String(row.parameters),
        String(row.steps),
        row.choose.toFixed(3),
        row.heldOut.toFixed(3),
        row.range.map((end) => end.toFixed(3)).join("–"),
      ]),
    ]),
  );
  const own = rows.find(({ variation }) => variation === "default");
  if (own !== undefined)
    console.log(`The default is ${(own.heldOut - best.heldOut).toFixed(3)} above the best, ${best.variation}`);
}
