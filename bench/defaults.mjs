/**
 * Compares the default configuration for a text with variations of this configuration. `docs/recipe.md` shows the
 * results, in "The defaults for a text of your own". Each setting trains on the first 8 tenths of a text. The loss on
 * the next tenth decides which weights of a training and which setting are best. The loss on the last tenth is the
 * result, so no choice depends on the last tenth.
 *
 *     node bench/defaults.mjs --text prose=FILE [--text code=FILE …] [--seeds 1,2,3] [--only default,steps*2] [--jobs 2]
 *                             [--dtype auto] [--within 0.1] [--results FILE] [--into docs/recipe.md] [--no-training]
 *
 * Trainings in the --results file are not repeated, so a stopped comparison resumes. Without --results nothing is
 * saved.
 * --within: after the first seed, only the default and good settings are trained. The first result of a good setting is
 * at most --within above the best result.
 * --into: writes the tables of all texts into a document. --no-training makes the tables from the --results file only.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { configOfText } from "../dist/config/from-text.js";
import { comparisonOf, defaultsSections, rangeOf } from "./lib/defaults-report.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { fill } from "./lib/report-sections.mjs";
import { textTable } from "./lib/statistics.mjs";
import { inJobs, resultsIn, trainSetting } from "./lib/text-setting.mjs";
import { variationLabels, variations } from "./lib/variations.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string", multiple: true, default: [] },
    seeds: { type: "string", default: "1,2,3" },
    only: { type: "string", default: Object.keys(variations).join(",") },
    jobs: { type: "string", default: "2" },
    dtype: { type: "string", default: "auto" },
    within: { type: "string", default: "Infinity" },
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
const within = Number(values.within);
if (!(within >= 0)) refuse(`--within: must be a number of nats, at least 0; got ${values.within}`);
/** Fractions of the text for training and for the choice of weights and setting. The remaining text is held out. */
const shares = [0.8, 0.1];

const planned = texts.map(({ name, file }) => {
  const characters = [...readFileSync(file, "utf8")];
  const tokens = Math.floor(shares[0] * characters.length);
  const base = configOfText({ tokens, vocabSize: new Set(characters).size });
  const plans = only.flatMap((variation) =>
    seeds.map((seed) => {
      const { model, train, tokenizer } = variations[variation](base);
      return { text: name, file, variation, seed, config: { tokenizer, model, train: { ...train, seed } } };
    }),
  );
  return { name, bytes: statSync(file).size, tokens, plans };
});

const keyOf = ({ text, config }) => JSON.stringify([text, config]);
const results = resultsIn(values.results, keyOf);

const trainAll = (plans) =>
  inJobs(
    jobs,
    plans.filter((plan) => !results.has(plan)),
    async (plan) => {
      const { text, file, variation, seed, config } = plan;
      // An equal setting with another name may have been trained in the meantime.
      if (results.has(plan)) return;
      const trained = await trainSetting({ file, config, shares, threads: 1, dtype: values.dtype });
      results.add({ text, variation, seed, config, ...trained });
      const { chosen, seconds } = trained;
      console.log(
        `${text} ${variation}, seed ${seed}: ${chosen.heldOut.toFixed(3)} held out, at step ${chosen.step} of ${config.train.steps}, in ${seconds.toFixed(0)} s`,
      );
    },
  );

const nearBest = (plans) => {
  const first = plans.filter(({ seed }) => seed === seeds[0]);
  const lossOf = (plan) => results.get(plan).chosen.choose;
  const best = Math.min(...first.map(lossOf));
  const near = first.filter((plan) => plan.variation === "default" || lossOf(plan) <= best + within);
  return plans.filter(({ variation }) => near.some((plan) => plan.variation === variation));
};

if (!values["no-training"]) {
  console.log(`${machineLine(machine())}\n`);
  await trainAll(planned.flatMap(({ plans }) => plans.filter(({ seed }) => seed === seeds[0])));
  await trainAll(planned.flatMap(({ plans }) => nearBest(plans)));
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
