/**
 * Measures the time of fine-tuning steps in Foretoken and in PyTorch (with transformers and peft). It trains all
 * weights, or low-rank adapters (LoRA) on all linear layers. Both programs use the same windows of the same text, the
 * same initial weights, and AdamW with clipping.
 *
 *     node bench/fine-tune.mjs --model MODEL --text FILE --python PYTHON [--only full,lora,qlora] [--dtype float32,bfloat16]
 *                              [--context 1024] [--rank 8] [--rounds 5] [--threads 2] [--recompute] [--compile] [--json FILE]
 *
 * MODEL is any model that `foretoken generate` accepts: a directory, or a GGUF file with a tokenizer. For PyTorch the
 * model is saved as a directory. `qlora` is LoRA on a GGUF file with weights of 4 to 8 bits. In Foretoken the weights
 * stay quantized. PyTorch uses the same weights, converted to the dtype. With --recompute, only Foretoken recomputes
 * the model's blocks in the backward pass.
 * First, every mode of PyTorch is measured once: weights in float32 (with autocast for bfloat16) or in bfloat16, and
 * attention `sdpa` or `eager`. With --compile, the fastest mode is also measured with compilation. Then PyTorch's
 * fastest mode and Foretoken take turns.
 * Prints the median time of a step and its range, the peak memory of each process, and the ratio of each round. Also
 * prints the losses of both programs for the same step, to show that they do the same work.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadPretrained } from "../dist/pretrained/load.node.js";
import { savePretrained } from "../dist/pretrained/save.node.js";
import { settle, startContestant } from "./lib/contestants.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, digits, mebibytes, median, textTable } from "./lib/statistics.mjs";

const methods = ["full", "lora", "qlora"];
const dtypes = ["float32", "bfloat16"];
const { config: _, ...common } = commonOptions;
const { values } = parseArgs({
  options: {
    ...common,
    model: { type: "string" },
    text: { type: "string" },
    only: { type: "string", default: "full,lora" },
    dtype: { type: "string", default: dtypes.join(",") },
    context: { type: "string", default: "1024" },
    rank: { type: "string", default: "8" },
    rounds: { type: "string", default: "5" },
    compile: { type: "boolean", default: false },
    recompute: { type: "boolean", default: false },
  },
});
if (values.model === undefined) refuse("--model: must be given: a directory, or a GGUF file");
if (values.text === undefined) refuse("--text: must be given: a text file");
const wanted = namesOf("only", values.only, methods);
const wantedTypes = namesOf("dtype", values.dtype, dtypes);
const [contextLength, rank, rounds, threads] = ["context", "rank", "rounds", "threads"].map((flag) =>
  wholeNumber(flag, values[flag]),
);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "foretoken-fine-tune-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** Both programs begin with two steps that do not count. The first step allocates memory. */
const warmSteps = 2;

const train = {
  ...{ steps: 1000, batchSize: 1, gradAccumSteps: 1, seed: 1, learningRate: 1e-4, warmupSteps: 0, maxGradNorm: 1 },
  schedule: { kind: "constant" },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.01 },
  ...(values.recompute ? { recomputeActivations: true } : {}),
};

/** The model as a directory that every process reads, and the tokens of the text. */
const prepare = async () => {
  const lm = await loadPretrained(values.model, { backend: "native", dtype: "float32", keepBlocks: false });
  const directory = join(folder, "model");
  await savePretrained(directory, lm);
  const text = readFileSync(values.text, "utf8");
  const tokens = Int32Array.from(lm.tokenizer.encode(text));
  const file = join(folder, "tokens.i32");
  writeFileSync(file, tokens);
  const needed = (warmSteps + rounds) * contextLength * train.batchSize + 1;
  if (tokens.length < needed) refuse(`--text: must have at least ${needed} tokens for all steps; got ${tokens.length}`);
  const parameters = lm.model.layout.count;
  await lm.close();
  return { directory, file, parameters, tokens: tokens.length };
};

/** PyTorch's modes for a dtype. */
const waysOf = (dtype) =>
  (dtype === "float32" ? ["float32"] : ["float32", "bfloat16"]).flatMap((weights) =>
    ["sdpa", "eager"].map((attention) => ({ weights, attention, compile: false })),
  );
const nameOf = (dtype, { weights, attention, compile }) =>
  `pytorch ${dtype} ${attention}${dtype === weights ? "" : " autocast"}${compile ? " compiled" : ""}`;

const start = async (name, command, request, file) => {
  const one = await startContestant(name, [...command, file, JSON.stringify(request)]);
  if (one === undefined) return undefined;
  try {
    const { milliseconds, losses, peakMemory } = await one.ask({ steps: warmSteps });
    return { ...one, losses, peakMemory, first: milliseconds.at(-1), times: [] };
  } catch (error) {
    console.error(`left out: ${error.message}`);
    return undefined;
  }
};

const measure = async (method, dtype, { directory, file }) => {
  const lora = method === "full" ? null : { rank, alpha: 2 * rank };
  const shared = { model: directory, train, contextLength, threads, dtype, lora };
  const torch = (way) =>
    start(nameOf(dtype, way), [values.python, here("peers/pytorch_finetune.py")], { ...shared, ...way }, file);
  const tried = [];
  const attempt = async (way) => {
    const one = await torch(way);
    if (one === undefined) return;
    await one.end();
    tried.push({ way, name: one.name, milliseconds: one.first, peakMemory: one.peakMemory });
    await settle();
  };
  const fastest = () => tried.toSorted((a, b) => a.milliseconds - b.milliseconds)[0];
  for (const way of waysOf(dtype)) await attempt(way);
  if (values.compile && tried.length > 0) await attempt({ ...fastest().way, compile: true });
  const ours = await start(
    `foretoken ${dtype}`,
    [process.execPath, here("peers/foretoken_finetune.mjs")],
    method === "qlora" ? { ...shared, model: values.model } : shared,
    file,
  );
  const theirs = tried.length === 0 ? undefined : await torch(fastest().way);
  const taking = [ours, theirs].filter((one) => one !== undefined);
  for (let round = 0; round < rounds; round++) {
    for (const one of taking) {
      if (theirs !== undefined) await settle();
      const { milliseconds, losses, peakMemory } = await one.ask({ steps: 1 });
      one.times.push(...milliseconds);
      one.losses.push(...losses);
      one.peakMemory = peakMemory;
    }
  }
  for (const one of taking) await one.end();
  const results = taking.map(({ name, about, times, losses, peakMemory }) => ({
    ...{ name, about, times, losses, peakMemory, milliseconds: median(times) },
  }));
  return { method, dtype, tried: tried.map(({ way: _, ...rest }) => rest), results };
};

const range = (numbers) => [Math.min(...numbers), Math.max(...numbers)].map(digits).join("–");

const tableOf = (measurements) => [
  ["", "ms a step", "range", "tokens/s", "peak memory", "× PyTorch", "range", "loss, first and last step"],
  ...measurements.flatMap(({ method, results }) =>
    results.map(({ name, times, milliseconds, peakMemory, losses }, _, [__, theirs]) => {
      const ratios = theirs === undefined ? [] : times.map((time, round) => theirs.times[round] / time);
      const speed = count(Math.round((1000 * train.batchSize * contextLength) / milliseconds));
      const told = [losses[0], losses.at(-1)].map((loss) => loss.toFixed(4)).join(", ");
      const ratio = ratios.length === 0 ? ["", ""] : [`${median(ratios).toFixed(2)}×`, range(ratios)];
      return [`${method}: ${name}`, digits(milliseconds), range(times), speed, mebibytes(peakMemory), ...ratio, told];
    }),
  ),
];

const about = machine();
console.log(machineLine(about));
const prepared = await prepare();
console.log(
  `${values.model}: ${count(prepared.parameters)} parameters; ${count(train.batchSize * contextLength)} tokens a step; AdamW, clipping; ${threads} threads`,
);
const measurements = [];
for (const method of wanted) {
  for (const dtype of wantedTypes) {
    const measurement = await measure(method, dtype, prepared);
    measurements.push(measurement);
    for (const { name, milliseconds, peakMemory } of measurement.tried) {
      console.log(`tried for ${method}: ${name}, ${digits(milliseconds)} ms, ${mebibytes(peakMemory)}`);
    }
  }
}
const versions = measurements.flatMap(({ results }) => results.map((one) => one.about.versions)).filter(Boolean);
if (versions.length > 0) {
  const all = Object.entries(Object.assign({}, ...versions)).map(([name, version]) => `${name} ${version}`);
  console.log(all.join(", "));
}
console.log(`medians of ${rounds} alternating rounds; ratios above 1: faster than PyTorch\n`);
process.stdout.write(textTable(tableOf(measurements)));
if (typeof values.json === "string") {
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: about, threads, contextLength, rank, measurements }, null, 2)}\n`,
  );
}
