/**
 * Measures what a model gains from learning from an ensemble (`train --teacher`). Trains four teachers of the size of
 * `nano-cpu` with different seeds; then, for each further seed, a student of the same size that learns from all four
 * teachers, and a plain model that learns only from the text.
 *
 *     node bench/distillation.mjs [--text FILE] [--steps 3000] [--teachers 101,102,103,104] [--seeds 1,2,3]
 *                                 [--weight X] [--temperature X] [--threads 2] [--results FOLDER] [--json FILE]
 *
 * The text is Tiny Shakespeare by default; its last tenth is held out, and the last weights of each run are measured on
 * it. Runs that exist in --results are not trained again, and a stopped run is resumed; without --results nothing is
 * kept. Prints the held-out loss of each model and of the ensemble (the average of the teachers' probabilities), the
 * time of a step, and the statistics of `foretoken compare`: the students against the best teacher, against all
 * teachers, and against the plain models of the same seeds.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inferenceContext, withContext } from "../dist/autograd/context.js";
import { readTensor } from "../dist/autograd/tensor.js";
import { teacherConfigSchema } from "../dist/config/teacher.js";
import { loadCorpus } from "../dist/data/corpora.node.js";
import { evaluationPasses, measureTokens } from "../dist/evaluate/evaluate.js";
import { compareRuns, evaluate, loadPretrained, train } from "../dist/index.js";
import { forward } from "../dist/models/forward.js";
import { runConfig } from "./lib/configs.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, refuse, wholeNumber } from "./lib/options.mjs";
import { median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    threads: commonOptions.threads,
    json: commonOptions.json,
    text: { type: "string", default: "tiny-shakespeare" },
    steps: { type: "string" },
    teachers: { type: "string", default: "101,102,103,104" },
    seeds: { type: "string", default: "1,2,3" },
    weight: { type: "string" },
    temperature: { type: "string" },
    results: { type: "string" },
  },
});
const listOf = (flag) => values[flag].split(",").map((seed) => wholeNumber(flag, seed));
const [teacherSeeds, seeds] = [listOf("teachers"), listOf("seeds")];
if (teacherSeeds.some((seed) => seeds.includes(seed))) refuse("--teachers: must have other seeds than --seeds");
const threads = wholeNumber("threads", values.threads);
const base = runConfig("nano-cpu");
const steps = values.steps === undefined ? base.train.steps : wholeNumber("steps", values.steps);
const mix = teacherConfigSchema.parse(
  Object.fromEntries(
    ["weight", "temperature"].flatMap((name) => (values[name] === undefined ? [] : [[name, Number(values[name])]])),
  ),
);
const folder = values.results ?? mkdtempSync(join(tmpdir(), "foretoken-distillation-"));
if (values.results === undefined) process.on("exit", () => rmSync(folder, { recursive: true }));
else mkdirSync(folder, { recursive: true });

const exists = (path) => statSync(path, { throwIfNoEntry: false }) !== undefined;
/** The events that a run has recorded. */
const notesOf = (path) =>
  readFileSync(join(path, "metrics.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

/** Trains the run in `name`, unless it has ended. Returns its last checkpoint, and the median time of a step. */
const trained = async (name, seed, teacher) => {
  const path = join(folder, name);
  const config = {
    ...base,
    train: {
      ...base.train,
      ...{ seed, steps, evalInterval: steps, checkpointInterval: steps },
      ...(teacher === undefined ? {} : { teacher: mix }),
    },
  };
  const isBegun = exists(join(path, "run.json"));
  if (isBegun && notesOf(path)[0]?.config.train.steps !== steps)
    refuse(`--results: ${path} has another number of steps; give another folder`);
  const isDone = isBegun && notesOf(path).at(-1)?.type === "done";
  if (!isDone) {
    process.stderr.write(`training ${name}\n`);
    const options = isBegun
      ? { resume: path }
      : { data: values.text, preset: /** @type {const} */ ("book"), config, out: path, teacher, finalSampleTokens: 0 };
    for await (const event of train({ ...options, threads })) if (event.type === "done") break;
  }
  const tokens = config.train.batchSize * config.model.contextLength;
  const times = notesOf(path).flatMap((event) => (event.type === "step" ? [tokens / event.tokensPerSecond] : []));
  return { name, seed, checkpoint: join(path, "checkpoint"), milliseconds: 1000 * median(times) };
};

const measured = async (run) => {
  const lm = await loadPretrained(run.checkpoint, { backend: "auto", threads, dtype: "float32" });
  const evaluation = await evaluate(lm, { data: values.text, windows: true });
  await lm.close();
  return { ...run, evaluation };
};

/** Held-out nats per token of the average of the models' probabilities. */
const ensembleLoss = async (runs, heldOut) => {
  const models = [];
  for (const { checkpoint } of runs) models.push(await loadPretrained(checkpoint, { threads, dtype: "float32" }));
  const [{ tokenizer, model }] = models;
  const { contextLength } = model.config;
  const tokens = measureTokens(tokenizer.encode(heldOut), tokenizer);
  let nats = 0;
  let count = 0;
  for (const make of evaluationPasses(tokens, { contextLength, windows: true })) {
    const { x, y, rows, time } = make();
    const shares = new Float64Array(y.length);
    for (const one of models) {
      const context = inferenceContext(one.model.backend, one.model.rounded()?.of ?? null);
      const logits = Float64Array.from(
        await withContext(context, (within) => readTensor(within.backend, forward(within, one.model, x, rows, time))),
      );
      const width = one.model.vocabSize;
      for (let i = 0; i < y.length; i++) {
        const row = logits.subarray(i * width, (i + 1) * width);
        const sum = row.reduce((total, z) => total + Math.exp(z), 0);
        shares[i] += Math.exp(row[y[i]]) / sum / models.length;
      }
    }
    for (const share of shares) nats -= Math.log(share);
    count += y.length;
  }
  for (const one of models) await one.close();
  return nats / count;
};

const teachers = [];
for (const seed of teacherSeeds) teachers.push(await trained(`teacher-${seed}`, seed));
const places = teachers.map(({ checkpoint }) => checkpoint);
const given = `${mix.weight}-${mix.temperature}`;
const [plain, students] = [[], []];
for (const seed of seeds) {
  plain.push(await trained(`plain-${seed}`, seed));
  students.push(await trained(`student-${given}-${seed}`, seed, places));
}
const all = [];
for (const run of [...teachers, ...plain, ...students]) all.push(await measured(run));
const taken = (runs) => all.filter(({ name }) => runs.some((run) => run.name === name));
const [ofTeachers, ofPlain, ofStudents] = [teachers, plain, students].map(taken);
const lossOf = ({ evaluation }) => evaluation.natsPerToken;
const best = ofTeachers.reduce((one, other) => (lossOf(other) < lossOf(one) ? other : one));
const corpus = await loadCorpus(values.text);
const ensemble = await ensembleLoss(teachers, corpus.val);

const setting = (runs) => ({
  evaluations: runs.map(({ evaluation }) => evaluation),
  seeds: runs.map(({ seed }) => seed),
});
const comparisons = [
  ["best teacher", [best]],
  ["all teachers", ofTeachers],
  ["plain, same seeds", ofPlain],
].map(([name, runs]) => ({ name, ...compareRuns([setting(runs), setting(ofStudents)])[0] }));

console.log(machineLine(machine()));
const nats = (value) => value.toFixed(4);
console.log(
  textTable([
    ["model", "held-out nats", "ms a step"],
    ...all.map((run) => [run.name, nats(lossOf(run)), run.milliseconds.toFixed(2)]),
    ["ensemble", nats(ensemble), ""],
  ]),
);
console.log(
  textTable([
    ["students against", "nats", "± (95%)", "p"],
    ...comparisons.map(({ name, natsPerToken, halfWidth95, pValue }) => [
      name,
      nats(natsPerToken),
      halfWidth95 === null ? "–" : nats(halfWidth95.natsPerToken),
      pValue === null ? "–" : pValue.toPrecision(2),
    ]),
  ]),
);
const { json } = values;
if (typeof json === "string") {
  const runs = all.map(({ evaluation, ...run }) => ({ ...run, natsPerToken: evaluation.natsPerToken }));
  writeFileSync(json, `${JSON.stringify({ machine: machine(), steps, mix, runs, ensemble, comparisons }, null, 2)}\n`);
}
