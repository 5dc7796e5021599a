/**
 * Counts how often the result of `compare` is correct. The benchmark trains two settings with many seeds. The losses of
 * the two settings differ by about 0.02 nats.
 *
 *     node bench/calibration.mjs --text FILE --results FILE [--runs 44] [--draws 200] [--seeds 1,2,3,5] [--jobs 1] [--no-training]
 *                                [--rates 0.003,0.0024] [--steps 600] [--seed 1]
 *
 * "Alike": both groups of a pair are runs of the first setting, with different seeds. At a level of 95%, 2% to 8% of
 * these pairs should be called different. "Apart": the two groups are runs of different settings with the same seeds.
 * With three seeds, at least 80% of these pairs should be called different. --draws is the number of pairs of each
 * kind. --seeds lists the group sizes. The table shows both counts twice: for runs paired by seed, and for unpaired
 * runs. Pairs are correct even if runs with equal seeds are not correlated.
 * A run takes some seconds. Each run has a low priority, so other programs can work at the same time. Runs in the
 * --results file are not trained again, so a stopped calibration resumes. --no-training counts with the existing runs
 * only.
 */
import { availableParallelism, setPriority } from "node:os";
import { parseArgs } from "node:util";
import { evaluate, loadCorpus, loadPretrained, train } from "../dist/index.js";
import { calibrationOf, noiseOf } from "./lib/calibration.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";
import { inJobs, resultsIn } from "./lib/text-setting.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string" },
    results: { type: "string" },
    runs: { type: "string", default: "44" },
    draws: { type: "string", default: "200" },
    seeds: { type: "string", default: "1,2,3,5" },
    jobs: { type: "string", default: "1" },
    rates: { type: "string", default: "0.003,0.0024" },
    steps: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    "no-training": { type: "boolean", default: false },
  },
});
if (values.results === undefined) refuse("--results: must name a file for the runs");
if (values.text === undefined && !values["no-training"]) refuse("--text: must name a text");
const [runs, draws, jobs, steps, seed] = ["runs", "draws", "jobs", "steps", "seed"].map((flag) =>
  wholeNumber(flag, values[flag]),
);
const groups = values.seeds.split(",").map((count) => wholeNumber("seeds", count));
const rates = values.rates.split(",").map(Number);
if (rates.length !== 2 || !rates.every((rate) => rate > 0)) refuse(`--rates: must be two numbers; got ${values.rates}`);
// The lowest priority, so that other programs are not slower.
setPriority(19);

const settings = ["first", "second"];
const configOf = (setting, number) => ({
  model: { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 32, dropout: 0 },
  train: {
    ...{ steps, batchSize: 64, learningRate: rates[settings.indexOf(setting)], seed: number },
    ...{ evalInterval: steps, checkpointInterval: steps, sampleTokens: 0 },
  },
});

const keyOf = ({ setting, seed: number, config }) => JSON.stringify([setting, number, config]);
const results = resultsIn(values.results, keyOf);
const plans = Array.from({ length: runs }, (_, i) =>
  settings.map((setting) => ({ setting, seed: i + 1, config: configOf(setting, i + 1) })),
).flat();

/** Losses of the windows of the held-out text, with the final weights. */
const measured = async ({ config }, corpus) => {
  let files;
  const options = {
    text: corpus.train,
    valText: corpus.val,
    preset: /** @type {const} */ ("quick"),
    config,
    finalSampleTokens: 0,
  };
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  const onCheckpoint = (given, which) => {
    if (which !== "best") files = given;
  };
  for await (const event of train({ ...options, out: null, threads, onCheckpoint })) void event;
  const lm = await loadPretrained(files, { threads });
  const { windows } = await evaluate(lm, { text: corpus.val, windows: true });
  await lm.close();
  return { nats: windows.map(({ nats }) => Number(nats.toPrecision(8))), tokens: windows.map(({ tokens }) => tokens) };
};

if (!values["no-training"]) {
  console.log(machineLine(machine()));
  const corpus = await loadCorpus(values.text);
  const missing = plans.filter((plan) => !results.has(plan));
  let done = plans.length - missing.length;
  await inJobs(jobs, missing, async (plan) => {
    const began = performance.now();
    results.add({ ...plan, ...(await measured(plan, corpus)) });
    done++;
    console.log(
      `${done} of ${plans.length} runs: ${plan.setting}, seed ${plan.seed}, in ${((performance.now() - began) / 1000).toFixed(1)} s`,
    );
  });
}

const trained = plans.filter((plan) => results.has(plan)).map((plan) => results.get(plan));
const most = Math.max(...settings.map((setting) => trained.filter((run) => run.setting === setting).length));
const possible = groups.filter((count) => 2 * count <= most && most >= 2);
if (possible.length === 0)
  refuse(`--runs: must be enough for two groups of ${Math.min(...groups)} runs; got ${most} runs of a setting`);
const { one, other, differences, correlation } = noiseOf(trained);
console.log(
  `\n${trained.length} runs; nats per token ${one.mean.toFixed(4)} and ${other.mean.toFixed(4)}, between seeds ± ${one.deviation.toFixed(4)} and ${other.deviation.toFixed(4)}; with the same seed ${differences.mean.toFixed(4)} ± ${differences.deviation.toFixed(4)} apart, correlation ${correlation.toFixed(2)}`,
);
const percent = ({ share }) => `${(100 * share).toFixed(1)}%`;
const rows = possible.map((count) => {
  const { alike, apart } = calibrationOf(trained, { draws, seeds: count, seed });
  return [
    String(count),
    percent(alike.paired),
    percent(alike.unpaired),
    percent(apart.paired),
    percent(apart.unpaired),
  ];
});
console.log(
  `\n${draws} comparisons each; share called different\n${textTable([["seeds", "alike, paired", "alike, not paired", "apart, paired", "apart, not paired"], ...rows])}`,
);
