/**
 * Measures the time of training steps: of Foretoken's backends and dtypes, of PyTorch in each of its modes, and of
 * TensorFlow.js on WebAssembly. All programs use equal tokens and shapes, AdamW and clipping. Each program has its own
 * process. The processes take turns: one process works while the others wait. Missing peers are skipped, and the reason
 * is printed.
 *
 *     node bench/train.mjs [--config nano-cpu,book,baby,gpt2] [--only native,wasm,reference,pytorch,tfjs]
 *                          [--python python3] [--seconds 120] [--threads 2] [--dropout 0.1] [--json FILE]
 *                          [--roof-memory 512] [--busy] [--isa avx2]
 *
 * --seconds is the approximate time for each configuration, after a warm-up. The numbers of rounds and steps depend on
 * --seconds and on the time of a step. Each process computes at least one step in each of three rounds. There is one
 * exception. If a step of WebAssembly, the reference or TensorFlow.js takes seconds, only its second step is measured.
 * --dropout adds a Foretoken process with dropout. --roof-memory is the largest block of memory for which the speed is
 * measured, in MiB. With --busy, a process of the lowest priority keeps each core busy at the same time. --isa holds
 * Foretoken's native kernels and PyTorch to the instruction set avx2 or avx512, as on a CPU without newer ones. Only
 * Intel's CPUs heed the variable of MKL, one of PyTorch's libraries. Prints the
 * medians of alternating rounds. Also prints the ratio to PyTorch's fastest mode, for the same dtype and for all
 * dtypes, with the range over the rounds.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, constants, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeBackends } from "../dist/backend/select.node.js";
import { loadCorpus } from "../dist/data/corpora.node.js";
import { trainCharTokenizer } from "../dist/tokenizer/char.js";
import { configs, randomTokens, runConfig, tokensPerStep } from "./lib/configs.mjs";
import { settle, startContestant } from "./lib/contestants.mjs";
import { machine, machineLine, roofsLine } from "./lib/machine.mjs";
import { commonOptions, configNames, namesOf, refuse, roofOptions, wholeNumber } from "./lib/options.mjs";
import { stepCost } from "./lib/recorded-calls.mjs";
import { measureRoofs } from "./lib/roofs.mjs";
import { count, digits, median, textTable } from "./lib/statistics.mjs";
import { dropoutCosts, trainingTable } from "./lib/training-table.mjs";

const peerKinds = ["pytorch", "tfjs"];
const kinds = ["native", "wasm", "reference", ...peerKinds];
const { values } = parseArgs({
  options: {
    ...commonOptions,
    ...roofOptions,
    only: { type: "string", default: kinds.join(",") },
    seconds: { type: "string", default: "120" },
    dropout: { type: "string", default: "0" },
    busy: { type: "boolean", default: false },
    isa: { type: "string" },
  },
});
const names = configNames(values.config);
const wanted = namesOf("only", values.only, kinds);
const threads = wholeNumber("threads", values.threads);
const roofMemory = wholeNumber("roof-memory", values["roof-memory"]);
const seconds = Number(values.seconds);
const dropout = Number(values.dropout);
if (!(seconds > 0)) refuse(`--seconds: must be above 0; got ${values.seconds}`);
if (!(dropout >= 0 && dropout < 1)) refuse(`--dropout: must be at least 0 and below 1; got ${values.dropout}`);

/** Variables that hold PyTorch and its libraries to an instruction set. */
const torchVariables = {
  avx2: { ATEN_CPU_CAPABILITY: "avx2", ONEDNN_MAX_CPU_ISA: "AVX2", MKL_ENABLE_INSTRUCTIONS: "AVX2" },
  avx512: { ATEN_CPU_CAPABILITY: "avx512", ONEDNN_MAX_CPU_ISA: "AVX512_CORE", MKL_ENABLE_INSTRUCTIONS: "AVX512" },
};
if (values.isa !== undefined && torchVariables[values.isa] === undefined)
  refuse(`--isa: must be one of ${Object.keys(torchVariables).join(", ")}; got ${values.isa}`);
/** @param {string} kind */
const variablesOf = (kind) => {
  if (values.isa === undefined) return {};
  if (kind === "native") return { FORETOKEN_ISA: values.isa };
  return kind === "pytorch" ? torchVariables[values.isa] : {};
};

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "foretoken-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

if (values.busy) {
  for (let core = 0; core < availableParallelism(); core++) {
    const other = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
    setPriority(Number(other.pid), constants.priority.PRIORITY_LOW);
    process.on("exit", () => other.kill("SIGKILL"));
    other.unref();
  }
}

/** Tokens for every process: characters of the text, or random tokens if the vocabulary is larger. */
const tokensOf = async (name) => {
  const { vocabSize } = configs[name];
  const file = join(folder, `${name}.i32`);
  if (vocabSize !== null) {
    writeFileSync(file, randomTokens(100_000, vocabSize));
    return { file, vocabSize, text: "random tokens" };
  }
  const corpus = await loadCorpus();
  const tokenizer = trainCharTokenizer(corpus.train, corpus.val);
  writeFileSync(file, tokenizer.encode(corpus.train));
  return { file, vocabSize: tokenizer.vocabSize, text: corpus.name };
};

/**
 * Configurations for which slow contestants are also measured. A contestant is slow if it has one thread or no vector
 * instructions.
 */
const waitedFor = { reference: ["nano-cpu", "tiny"], tfjs: ["nano-cpu", "book", "tiny"] };

const { backends } = await describeBackends();
/** All contestants: the command that starts each contestant, and the contestant with which it is compared. */
const entrants = (name, file, vocabSize) => {
  const config = runConfig(name);
  const ours = (backend, dtype, p = 0) => ({
    name: `foretoken ${backend} ${dtype}${p > 0 ? ` dropout ${p}` : ""}`,
    kind: backend,
    dtype,
    dropout: p,
    command: [process.execPath, here("peers/foretoken_train.mjs")],
    request: { config: { ...config, model: { ...config.model, dropout: p } }, vocabSize, threads, backend, dtype },
  });
  const torch = (dtype, attention) => ({
    name: `pytorch ${dtype} ${attention}`,
    kind: "pytorch",
    dtype,
    dropout: 0,
    command: [values.python, here("peers/pytorch_train.py")],
    request: { config, vocabSize, threads, dtype, attention },
  });
  const dtypes = ["float32", "bfloat16"];
  // All processes keep their memory until the last round. For the largest model, there is no memory for two more
  // processes.
  const dropouts = dropout > 0 && name !== "gpt2" ? [0, dropout] : [0];
  const all = [
    ...dtypes.flatMap((dtype) => dropouts.map((p) => ours("native", dtype, p))),
    ...dtypes.flatMap((dtype) => ["sdpa", "plain"].map((attention) => torch(dtype, attention))),
    ...dtypes.map((dtype) => ours("wasm", dtype)),
    ours("reference", "float32"),
    {
      name: "tfjs wasm float32",
      kind: "tfjs",
      dtype: "float32",
      dropout: 0,
      command: [process.execPath, here("peers/tfjs_train.mjs")],
      request: { config, vocabSize },
    },
  ];
  return all
    .filter(({ kind }) => wanted.includes(kind) && waitedFor[kind]?.includes(name) !== false)
    .map((one) => ({ ...one, command: [...one.command, file, JSON.stringify(one.request)] }));
};

/**
 * All losses of untrained models are near ln V. The losses differ slightly, because each contestant draws its own
 * random weights.
 */
const checkStart = (contestants, vocabSize) => {
  const expected = Math.log(vocabSize);
  for (const { name, firstLoss, about } of contestants) {
    if (!(Math.abs(firstLoss - expected) < 0.3))
      throw new Error(`${name}: must begin near ln ${vocabSize} = ${expected.toFixed(3)}; got ${firstLoss}`);
    if (about.parameters !== contestants[0].about.parameters)
      throw new Error(`${name}: must have ${contestants[0].about.parameters} parameters; got ${about.parameters}`);
  }
};

const minRounds = 3;
const maxRounds = 9;
/** Steps of one process in one round. The number is enough for a median, within the given seconds. */
const roundSeconds = 1.5;
/**
 * Maximum time of a step. A slower contestant is measured in rounds only if the comparison is about this contestant.
 */
const slowSeconds = 2.5;
const maySkipRounds = ["wasm", "reference", "tfjs"];

/**
 * Computes the first steps. The first step allocates memory. After two or three steps, the process is warm. If a step
 * fails, prints the reason and returns undefined.
 */
const warmUp = async (one) => {
  try {
    const first = await one.ask({ steps: 1 });
    return { first, second: await one.ask({ steps: first.milliseconds[0] > 2000 ? 1 : 3 }) };
  } catch (error) {
    console.error(`left out: ${error.message}`);
    return undefined;
  }
};

const measure = async (name) => {
  const { file, vocabSize, text } = await tokensOf(name);
  const contestants = [];
  for (const { command, request: _, ...entrant } of entrants(name, file, vocabSize)) {
    const one = await startContestant(entrant.name, command, variablesOf(entrant.kind));
    if (one === undefined) continue;
    const warm = await warmUp(one);
    if (warm === undefined) continue;
    const { first, second } = warm;
    const step = Math.min(...second.milliseconds) / 1000;
    const steps = Math.max(1, Math.min(20, Math.round(roundSeconds / step)));
    const isSlow = step > slowSeconds && maySkipRounds.includes(entrant.kind);
    if (isSlow) await one.end();
    const { peakMemory, losses } = second;
    const times = isSlow ? [1000 * step] : [];
    const state = { firstLoss: first.losses[0], lastLoss: losses.at(-1), peakMemory, times, step, steps, isSlow };
    contestants.push({ ...entrant, ...one, ...state });
  }
  if (contestants.length === 0) refuse("--only: must name a program that is installed; none of the named ones is");
  checkStart(contestants, vocabSize);
  const taking = contestants.filter(({ isSlow }) => !isSlow);
  const peers = taking.some(({ kind }) => peerKinds.includes(kind));
  const round = taking.reduce((sum, { step, steps }) => sum + 0.3 + step * steps, 0);
  const rounds = Math.max(minRounds, Math.min(maxRounds, Math.floor(seconds / Math.max(round, 0.1))));
  for (let i = 0; i < rounds; i++) {
    for (const one of taking) {
      if (peers) await settle();
      const { milliseconds, losses, peakMemory } = await one.ask({ steps: one.steps });
      Object.assign(one, { peakMemory, lastLoss: losses.at(-1) });
      one.times.push(median(milliseconds));
    }
  }
  for (const one of taking) await one.end();
  const results = contestants.map(({ ask: _, end: __, step: ___, isSlow: ____, times, ...rest }) => {
    return { ...rest, milliseconds: median(times), times };
  });
  const { model, batchSize } = configs[name];
  return { name, text, vocabSize, model, batchSize, rounds, cost: await stepCost(name, vocabSize), results };
};

const native = backends.find((backend) => backend.name === "native");
const roofs =
  native?.available === true && wanted.includes("native")
    ? await measureRoofs(values.isa ?? native.instructionSet, threads, roofMemory)
    : undefined;
const about = machine();
console.log(machineLine(about));
if (roofs !== undefined) console.log(`${roofs.instructionSet}, ${threads} threads: ${roofsLine(roofs)}`);
const measurements = [];
for (const name of names) {
  const measurement = await measure(name);
  measurements.push(measurement);
  const { model, batchSize, vocabSize, text, rounds, results } = measurement;
  const { nLayer, nHead, nEmbd, contextLength } = model;
  const { parameters } = results[0].about;
  const versions = ["pytorch", "tfjs"].map((kind) => results.find((one) => one.kind === kind));
  console.log(`
${name}: ${nLayer} layers, ${nHead} heads, ${nEmbd} channels, ${count(parameters)} parameters; ${text}, V ${vocabSize}
${batchSize} × ${contextLength} = ${count(tokensPerStep(name))} tokens a step; AdamW, clipping; ${threads} threads${versions
    .filter((one) => one !== undefined)
    .map(({ kind, about: { version } }) => `; ${kind} ${version}`)
    .join("")}
medians of ${rounds} alternating rounds; ratios above 1: faster than PyTorch
`);
  process.stdout.write(textTable(trainingTable(measurement)));
  for (const { dropout: p, dtype, shares } of dropoutCosts(results)) {
    const [least, middle, most] = [Math.min(...shares), median(shares), Math.max(...shares)].map((one) =>
      digits(100 * one),
    );
    console.log(`dropout ${p} costs ${dtype} ${middle}% of a step (${least}–${most})`);
  }
}
if (typeof values.json === "string") {
  writeFileSync(values.json, `${JSON.stringify({ machine: about, threads, roofs, measurements }, null, 2)}\n`);
}
