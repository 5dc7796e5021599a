/**
 * Compares the estimate of a run's memory with the peak of its process. Each configuration trains in its own process:
 * steps, evaluations, samples and checkpoints.
 *
 *     node bench/memory.mjs [--configs tiny,nano-cpu,quick,book,shakespeare,wide,baby,gpt2,large-text,large-batch]
 *                           [--backend native,wasm] [--threads 2] [--dtype auto] [--rounds 1] [--resume] [--json FILE]
 *
 * --rounds sets how often a configuration is trained. The result is the median of the peaks. The time of garbage
 * collection varies, so the peak of a small run differs by some MiB between processes. If more than half of the rounds
 * are within the limits, the median is, too, and the remaining rounds are skipped.
 * With --resume, a second run is measured for each configuration. The second run resumes the first run's checkpoint
 * after the first step.
 * Prints a table. An estimate must be 95 % to 115 % of the measurement, or differ by at most 32 MiB. Otherwise the exit
 * status is 1. The 32 MiB are allowed because the peak of a small process depends on the time of garbage collection.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine } from "./lib/machine.mjs";
import { memoryConfigs, textOf } from "./lib/memory-configs.mjs";
import { commonOptions, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, mebibytes, median, percent, textTable } from "./lib/statistics.mjs";

const [least, most] = [0.95, 1.15];
/** Error in bytes that is allowed for every estimate. */
const allowance = 32 * 2 ** 20;
const known = Object.keys(memoryConfigs);
const { values } = parseArgs({
  options: {
    configs: { type: "string", default: known.join(",") },
    backend: { type: "string", default: "native,wasm" },
    threads: commonOptions.threads,
    dtype: { type: "string", default: "auto" },
    rounds: { type: "string", default: "1" },
    resume: { type: "boolean", default: false },
    json: commonOptions.json,
  },
});
const names = namesOf("configs", values.configs, known);
const backends = namesOf("backend", values.backend, ["native", "wasm"]);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
if (values.resume && rounds !== 1) refuse("--rounds: must be 1 with --resume");
const [dtype] = namesOf("dtype", values.dtype, ["auto", "float32", "bfloat16"]);

const folder = mkdtempSync(join(tmpdir(), "foretoken-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const program = fileURLToPath(new URL("lib/memory-run.mjs", import.meta.url));

const measure = (options) =>
  JSON.parse(execFileSync(process.execPath, [program, JSON.stringify(options)], { encoding: "utf8" }));

const ratioOf = ({ memory, measured }) => memory.total / measured;

const isWithin = ({ memory, measured }) => {
  const ratio = ratioOf({ memory, measured });
  return (ratio >= least && ratio <= most) || Math.abs(memory.total - measured) <= allowance;
};

/** A run's estimate, and the median of the peaks of several processes. */
const measureAnew = (options) => {
  const results = [];
  while (results.length < rounds && results.filter(isWithin).length <= rounds / 2) {
    rmSync(options.out, { recursive: true, force: true });
    results.push(measure(options));
  }
  return { ...results[0], measured: median(results.map(({ measured }) => measured)) };
};

const writeText = (name) => {
  const path = join(folder, `${name}.txt`);
  const { text, characters } = memoryConfigs[name];
  const file = openSync(path, "w");
  for (const piece of textOf(text, characters)) writeSync(file, piece);
  closeSync(file);
  return path;
};

const results = [];
for (const name of names) {
  const data = writeText(name);
  for (const backend of backends) {
    const out = join(folder, `${name}-${backend}`);
    const { config, valFraction = 0.1 } = memoryConfigs[name];
    const { model, train } = config;
    const options = { data, valFraction, out, backend, threads, config: { model, train: { ...train, dtype } } };
    const add = (what, result) => {
      results.push({ name: what, ratio: ratioOf(result), threads, ...result });
    };
    if (values.resume) {
      add(name, measure({ ...options, stopAt: 1, config: { model, train: { ...train, steps: 2, dtype } } }));
      add(`${name}, resumed`, measure({ resume: out, backend, threads }));
    } else {
      add(name, measureAnew(options));
    }
    rmSync(out, { recursive: true });
  }
  rmSync(data);
}

const about = machine();
console.log(`${machineLine(about)}; ${threads} threads; MiB\n`);
process.stdout.write(
  textTable([
    ["", "backend", "parameters", "lasting", "temporaries", "text", "program", "estimate", "measured", "ratio", ""],
    ...results.map((one) => {
      const { weights, gradients, moments, temporaries, text, program: base, total } = one.memory;
      const sizes = [weights + gradients + moments, temporaries, text, base, total, one.measured];
      const where = `${one.backend} (${one.instructionSet}) ${one.dtype}`;
      return [
        one.name,
        where,
        count(one.parameters),
        ...sizes.map((bytes) => mebibytes(bytes)),
        one.ratio.toFixed(3),
        isWithin(one) ? "" : "!",
      ];
    }),
  ]),
);
if (typeof values.json === "string") {
  writeFileSync(values.json, `${JSON.stringify({ machine: about, results }, null, 2)}\n`);
}
if (!results.every(isWithin)) {
  console.error(
    `an estimate must be ${percent(least)} to ${percent(most)} of the measured peak, or within ${mebibytes(allowance)} of it`,
  );
  process.exitCode = 1;
}
