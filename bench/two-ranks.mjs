/**
 * Compares two ranks, each on one core, with one process of two threads, in turn. The ranks and the process use the
 * same flags and give the same bits. Prints the time of a training step. --config names the model. The batch is split
 * into two halves: for `baby`, two micro-batches of 32 windows.
 *
 *     node bench/two-ranks.mjs [--config baby] [--rounds 3] [--steps 10] [--dtype bfloat16,float32]
 *
 * Needs Linux, Open MPI and the MPI addon (npm run build:mpi).
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { configs, runConfig } from "./lib/configs.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { median, ratioAndRange, textTable } from "./lib/statistics.mjs";
import { cores, foretoken, missing, runRanks } from "./ranks/launch.mjs";
import { writeTexts } from "./ranks/measure.mjs";

const { values } = parseArgs({
  options: {
    config: { type: "string", default: "baby" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "10" },
    dtype: { type: "string", default: "bfloat16,float32" },
  },
});
const [name] = namesOf("config", values.config, Object.keys(configs));
const dtypes = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const rounds = wholeNumber("rounds", values.rounds);
const steps = wholeNumber("steps", values.steps);
const reason = missing();
if (reason !== undefined) refuse(reason);
if (cores < 2) refuse("two cores are needed");

/** Warm-up steps. */
const warmSteps = 2;
const folder = mkdtempSync(join(tmpdir(), "foretoken-two-ranks-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
writeTexts(folder);
const { model, train } = runConfig(name);
const never = { evalInterval: 1_000_000, checkpointInterval: 1_000_000, sampleTokens: 0 };
const plan = { ...train, ...never, steps: warmSteps + steps, batchSize: train.batchSize / 2, gradAccumSteps: 2 };
writeFileSync(join(folder, "config.json"), JSON.stringify({ preset: "book", model, train: plan }));

/** Milliseconds of a step: the median over all steps of a run. */
const stepTime = async (ranks, dtype) => {
  const out = join(folder, "run");
  rmSync(out, { recursive: true, force: true });
  const texts = ["--data", "text.txt", "--val-data", "val.txt"];
  const args = [foretoken, "train", ...texts, "--config", "config.json", "--dtype", dtype, "--out", out, "--json"];
  const threads = ["--backend", "native", "--threads", ranks === 1 ? "2" : "1"];
  const program = [process.execPath, ...args, ...threads];
  const network = /** @type {const} */ ({ kind: "memory", gigabits: null, delayMicroseconds: 0 });
  const output =
    ranks === 1
      ? (await promisify(execFile)(program[0], program.slice(1), { cwd: folder, maxBuffer: 2 ** 26 })).stdout
      : await runRanks(ranks, network, program, { cwd: folder, seconds: 600 });
  const events = output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  const tokens = plan.batchSize * plan.gradAccumSteps * model.contextLength;
  const taken = events.filter(({ type }) => type === "step").slice(warmSteps);
  return median(taken.map(({ tokensPerSecond }) => (1000 * tokens) / tokensPerSecond));
};

console.log(
  `${machineLine(machine())}\n${name}, ${plan.batchSize} × ${model.contextLength} tokens twice a step, medians\n`,
);
const rows = [];
for (const dtype of dtypes) {
  const [one, two] = [[], []];
  for (let round = 0; round < rounds; round++) {
    one.push(await stepTime(1, dtype));
    two.push(await stepTime(2, dtype));
  }
  rows.push([
    dtype,
    median(one).toFixed(0),
    median(two).toFixed(0),
    ratioAndRange(one.map((time, round) => time / two[round])),
  ]);
}
console.log(
  textTable([["dtype", "1 process, 2 threads, ms", "2 ranks, ms", "tokens/s of 2 ranks, of 1 process"], ...rows]),
);
