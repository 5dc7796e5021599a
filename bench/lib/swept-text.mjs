/** Sweeps of bench/defaults.mjs: the trainings of a text's settings, and the losses of all of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listRuns, sweep } from "../../dist/index.js";
import { readColumns } from "../../dist/runs/list/series.node.js";
import { loadInWorker } from "../../dist/worker/model.node.js";

/** A setting of the sweep. Its config is a complete configuration. The sweep chooses the seed. */
const settingOf = ({ variation, config: { tokenizer, model, train } }) => {
  const { seed: _, ...own } = train;
  return { name: variation, tokenizer, model, train: own };
};

/**
 * Sweeps settings on a text, and resumes the sweep if its folder exists.
 * @param settings `variation` and `config` of each.
 * @param onRun is called with the event of each trained run.
 */
export const sweepText = async ({ file, out, settings, seeds, stop, jobs, onRun }) => {
  const config = { data: file, settings: settings.map(settingOf), seeds, choose: 0.1, heldOut: 0.1, stop };
  for await (const event of sweep(config, { out, jobs, threads: 1 })) {
    if (event.type === "run") onRun(event);
    if (event.type === "done") return event.result;
  }
  throw new Error(`${out}: the sweep ended without a result`);
};

/** Loss of a run's best weights on the held-out part. The sweep itself measures only the winner's runs. */
const heldOutOf = async (run, dtype, heldOut) => {
  const lm = await loadInWorker(join(run, "best"), { backend: "auto", threads: 1, dtype, asInTraining: true });
  try {
    const corpus = {
      name: "held out",
      train: "",
      val: readFileSync(heldOut, "utf8"),
      parts: [{ where: heldOut, start: 0 }],
    };
    const { natsPerCharacter, bitsPerByte } = await lm.evaluate(corpus, { unknown: "skip" });
    return { heldOut: natsPerCharacter, bitsPerByte };
  } finally {
    await lm.close();
  }
};

/**
 * What was measured in a run of the sweep: losses in nats per character, of each evaluation and of the weights with the
 * lowest loss on the part for choosing.
 */
export const trainingIn = async (out, run) => {
  const { config, parameters, vocabSize, path } = run;
  const { steps, evals } = await readColumns(path);
  const tokens = config.train.batchSize * config.train.gradAccumSteps * config.model.contextLength;
  const curve = evals.step.map((step, i) => ({ step, train: evals.trainLoss[i], choose: evals.natsPerCharacter[i] }));
  const best = curve.reduce((a, b) => (b.choose < a.choose ? b : a));
  return {
    ...{ parameters, vocabSize },
    seconds: steps.tokensPerSecond.reduce((sum, rate) => sum + (rate > 0 ? tokens / rate : 0), 0),
    chosen: { ...best, ...(await heldOutOf(path, config.train.dtype, join(out, "texts", "held-out.txt"))) },
    curve,
  };
};

/** The runs of a sweep's folder by setting (from 1) and seed. */
export const runsIn = async (out) => {
  const { runs } = await listRuns(join(out, "runs"));
  return new Map(runs.map((run) => [run.name, run]));
};

export const runName = (setting, seed) => `${String(setting).padStart(2, "0")}-seed${seed}`;
