/**
 * Compares the default configuration for a text with variations of this configuration, by a sweep for each text.
 * `docs/recipe.md` shows the results, in "The defaults for a text of your own". Each setting trains on the first 8
 * tenths of a text. The loss on the next tenth chooses the weights of a training and the best setting. The loss on the
 * last tenth is the result. So nothing is chosen on the part that gives the result.
 *
 *     node bench/defaults.mjs --text prose=FILE [--text code=FILE …] --out FOLDER [--seeds 1,2,3]
 *                             [--only default,steps*2] [--jobs 2] [--dtype auto] [--stop never|race|comparison|halving]
 *                             [--results FILE] [--into docs/recipe.md] [--no-training]
 *
 * --out: the folder for the sweeps, one for each text. The same command resumes a stopped comparison.
 * --stop: when settings end early (docs/guides/sweeping.md); comparison is a race with an error for each comparison.
 * Settings that ended early have fewer seeds.
 * --results: adds the losses of all runs to this file.
 * --into: writes the tables of all texts into a document. --no-training makes the tables from the --results file only.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sweepTable } from "../dist/cli/display/texts/sweep-table.js";
import { configOfText } from "../dist/config/from-text.js";
import { comparisonOf, defaultsSections, rangeOf } from "./lib/defaults-report.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { fill } from "./lib/report-sections.mjs";
import { textTable } from "./lib/statistics.mjs";
import { runName, runsIn, sweepText, trainingIn } from "./lib/swept-text.mjs";
import { resultsIn } from "./lib/text-setting.mjs";
import { variationLabels, variations } from "./lib/variations.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string", multiple: true, default: [] },
    seeds: { type: "string", default: "1,2,3" },
    only: { type: "string", default: Object.keys(variations).join(",") },
    jobs: { type: "string", default: "2" },
    dtype: { type: "string", default: "auto" },
    stop: { type: "string", default: "never" },
    out: { type: "string" },
    results: { type: "string" },
    into: { type: "string" },
    "no-training": { type: "boolean", default: false },
  },
});
if (values.text.length === 0) refuse("--text: must name a text, for example prose=moby-dick.txt");
const texts = values.text.map((given) => {
  const [, name, file] = /^([^=]+)=(.+)$/u.exec(given) ?? refuse(`--text: must be NAME=FILE; got ${given}`);
  return { name, file };
});
const seeds = values.seeds.split(",").map((seed) => wholeNumber("seeds", seed));
const only = namesOf("only", values.only, Object.keys(variations));
const jobs = wholeNumber("jobs", values.jobs);
/** Rules for ending settings early. */
const rules = {
  never: { kind: "never" },
  race: { kind: "race", error: 0.05 },
  comparison: { kind: "race", error: 0.05, per: "comparison" },
  halving: { kind: "halving" },
};
const [rule] = namesOf("stop", values.stop, Object.keys(rules));
const folder = values.out ?? (values["no-training"] ? "" : refuse("--out: must name a folder for the sweeps"));
/** Share of the text for training. */
const trained = 0.8;

const planned = texts.map(({ name, file }) => {
  const characters = [...readFileSync(file, "utf8")];
  const tokens = Math.floor(trained * characters.length);
  const base = configOfText({ tokens, vocabSize: new Set(characters).size });
  const plans = only.flatMap((variation) =>
    seeds.map((seed) => {
      const { model, train, tokenizer } = variations[variation](base);
      return {
        text: name,
        file,
        variation,
        seed,
        config: { tokenizer, model, train: { ...train, seed, dtype: values.dtype } },
      };
    }),
  );
  return { name, bytes: statSync(file).size, tokens, plans };
});

const keyOf = ({ text, config }) => JSON.stringify([text, config]);
const results = resultsIn(values.results, keyOf);

/** Variations of a text without those that are equal to an earlier one, such as "dropout-0.1" of a dropout of 0. */
const distinct = (plans) => {
  const first = plans.filter(({ seed }) => seed === seeds[0]);
  const known = first.map(({ config }) => JSON.stringify(config));
  return first.filter((_, i) => known.indexOf(known[i]) === i);
};

const sweepOne = async ({ name, plans }) => {
  const settings = distinct(plans);
  const out = join(folder, name);
  const onRun = ({ setting, seed, step, natsPerCharacter, failure }) => {
    const told = failure ?? `${natsPerCharacter.toFixed(3)} on the part for choosing, at step ${step}`;
    console.log(`${name} ${settings[setting - 1].variation}, seed ${seed}: ${told}`);
  };
  const result = await sweepText({ file: plans[0].file, out, settings, seeds, stop: rules[rule], jobs, onRun });
  console.log(`\n${name}\n${sweepTable(result, seeds, Number.POSITIVE_INFINITY)}`);
  const runs = await runsIn(out);
  for (const { number, losses } of result.settings) {
    const { variation } = settings[number - 1];
    for (const { seed } of losses) {
      const plan = plans.find((one) => one.variation === variation && one.seed === seed);
      const run = runs.get(runName(number, seed));
      if (results.has(plan) || run.state === "unfinished" || run.state === "interrupted") continue;
      const { text, config } = plan;
      results.add({ text, variation, seed, config, ...(await trainingIn(out, run)) });
    }
  }
};

if (!values["no-training"]) {
  console.log(`${machineLine(machine())}\n`);
  for (const one of planned) await sweepOne(one);
}

const compared = planned.map(({ plans, ...text }) => ({
  ...text,
  ...comparisonOf(
    plans.map((plan) => ({ ...plan, result: results.get(plan) })),
    seeds,
  ),
}));
for (const { name, settings, best, above } of compared) {
  console.log(`\n${name}, nats per character, mean of seeds ${seeds.join(", ")}; in brackets: mean of fewer seeds`);
  console.log(
    textTable([
      ["setting", "parameters", "steps", "chosen by", "held out", "range"],
      ...settings.map((setting) => [
        setting === best ? `${setting.variation} (best)` : setting.variation,
        String(setting.parameters),
        String(setting.config.train.steps),
        setting.choose.toFixed(3),
        setting.complete ? setting.heldOut.toFixed(3) : `(${setting.heldOut.toFixed(3)})`,
        rangeOf(setting.range),
      ]),
    ]),
  );
  if (above !== undefined) console.log(`The default is ${above.toFixed(3)} above the best, ${best.variation}`);
}
if (values.into !== undefined) {
  const document = readFileSync(values.into, "utf8");
  writeFileSync(values.into, fill(document, defaultsSections(compared, variationLabels)));
}
