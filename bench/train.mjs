/**
 * Times training steps side by side: this library's backends and PyTorch, in turn, on the same text and the same shapes
 * (dropout 0, float32, Adam). Each keeps its process; one works while the others wait.
 *
 *   node bench/train.mjs [--config book] [--rounds 7] [--steps 10] [--threads 2] [--python python3] [--json FILE]
 *
 * Prints the median step of all rounds and the ratios round by round. Without a Python that has PyTorch, our own only.
 */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadCorpus } from "../dist/data/corpora.node.js";

const shapes = {
  "nano-cpu": { contextLength: 64, nLayer: 4, nHead: 4, nEmbd: 128, batchSize: 12, learningRate: 3e-4 },
  book: { contextLength: 128, nLayer: 4, nHead: 4, nEmbd: 128, batchSize: 32, learningRate: 3e-4 },
};

const { values } = parseArgs({
  options: {
    config: { type: "string", default: "book" },
    rounds: { type: "string", default: "7" },
    steps: { type: "string", default: "10" },
    threads: { type: "string", default: String(availableParallelism()) },
    python: { type: "string", default: "python3" },
    json: { type: "string" },
  },
});
const shape = shapes[values.config];
if (shape === undefined) {
  console.error(`--config: must be ${Object.keys(shapes).join(" or ")}; got ${values.config}`);
  process.exit(2);
}
const rounds = Number(values.rounds);
const stepsPerRound = Number(values.steps);
const threads = Number(values.threads);

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A child that answers each line "N" with the times of N steps. Resolves to undefined if it cannot start. */
const contestant = async (name, command, args) => {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  child.on("error", (error) => {
    errors += error.message;
  });
  const first = await lines.next();
  if (first.done) {
    console.error(`${name} left out: ${errors.trim().split("\n").at(-1)}`);
    return undefined;
  }
  return {
    name,
    about: JSON.parse(first.value),
    times: [],
    async work(steps) {
      child.stdin.write(`${steps}\n`);
      const line = await lines.next();
      if (line.done) throw new Error(`${name} ended: ${errors}`);
      const { milliseconds } = JSON.parse(line.value);
      return milliseconds;
    },
    end: () => child.stdin.end(),
  };
};

const corpus = await loadCorpus();
const textFile = join(tmpdir(), `foretoken-bench-${process.pid}.txt`);
writeFileSync(textFile, corpus.train + corpus.val);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ours = (backend) =>
  contestant(`foretoken ${backend}`, process.execPath, [
    here("peers/foretoken_train.mjs"),
    textFile,
    JSON.stringify({ ...shape, threads, backend }),
  ]);
const torch = (attention) =>
  contestant(`pytorch ${attention}`, values.python, [
    here("peers/pytorch_train.py"),
    textFile,
    JSON.stringify({ ...shape, threads, attention }),
  ]);

const contestants = [];
for (const start of [() => ours("native"), () => torch("sdpa"), () => torch("plain"), () => ours("wasm")]) {
  const one = await start();
  if (one !== undefined) contestants.push(one);
}

for (const one of contestants) await one.work(5); // warm-up
for (let round = 0; round < rounds; round++) {
  for (const one of contestants) {
    await wait(300); // a peer's threads spin for a while after their work
    one.times.push(median(await one.work(stepsPerRound)));
  }
}
for (const one of contestants) one.end();
if (existsSync(textFile)) (await import("node:fs")).unlinkSync(textFile);

const tokens = shape.batchSize * shape.contextLength;
const peers = contestants.filter(({ name }) => name.startsWith("pytorch"));
console.log(`${values.config}: ${tokens} tokens a step, float32, dropout 0, Adam; ${threads} threads; ${corpus.name}`);
console.log(
  `${cpus()[0]?.model.trim()}; Node ${process.version}${peers[0] ? `; PyTorch ${peers[0].about.version}` : ""}`,
);
console.log(`medians of ${stepsPerRound} steps in each of ${rounds} alternating rounds\n`);
const columns = ["", "ms a step", "range of medians", "tokens/s", ...peers.map(({ name }) => `× ${name}`)];
const rows = contestants.map((one) => {
  const step = median(one.times);
  const ratios = peers.map((peer) => median(peer.times.map((time, round) => time / one.times[round])).toFixed(2));
  const range = `${Math.min(...one.times).toFixed(1)}–${Math.max(...one.times).toFixed(1)}`;
  return [one.name, step.toFixed(1), range, Math.round((1000 * tokens) / step).toLocaleString("en"), ...ratios];
});
const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i].length)));
for (const row of [columns, ...rows]) {
  console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "));
}
if (values.json !== undefined) {
  const results = contestants.map(({ name, about, times }) => ({ name, about, medianMilliseconds: times }));
  writeFileSync(values.json, `${JSON.stringify({ config: values.config, shape, threads, results }, null, 2)}\n`);
}
