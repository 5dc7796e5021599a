/**
 * Measures generation: the time from the start of the command to the first token, and the tokens per second of a text
 * and of a prompt.
 *
 *     node bench/generate.mjs [--config book,baby] [--dtype float32,bfloat16] [--backend native] [--rounds 7] [--threads 2]
 *                             [--json FILE]
 *
 * Each model has its initial weights. The text of a model begins with one token and fills the context. The benchmark
 * first measures `foretoken generate` in a new process, in which the JavaScript engine is still compiling. Then it
 * measures the library's `generate`. A prompt has half the length of the context. Prints medians over --rounds rounds.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openBackend } from "../dist/backend/select.node.js";
import { createSequenceEngine } from "../dist/engine/engine.js";
import { freshModel, generate, languageModel, loadPretrained, savePretrained } from "../dist/index.js";
import { charTokenizer } from "../dist/tokenizer/char.js";
import { configs, randomTokens } from "./lib/configs.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, digits, median, textTable } from "./lib/statistics.mjs";

const { python: _, ...shared } = commonOptions;
const { values } = parseArgs({
  options: {
    ...shared,
    config: { type: "string", default: "book,baby" },
    dtype: { type: "string", default: "float32,bfloat16" },
    backend: { type: "string", default: "native" },
    rounds: { type: "string", default: "7" },
  },
});
const ofCharacters = Object.keys(configs).filter((name) => configs[name].vocabSize === null);
const names = namesOf("config", values.config, ofCharacters);
const dtypes = namesOf("dtype", values.dtype, ["float32", "bfloat16"]);
const backends = namesOf("backend", values.backend, ["native", "wasm", "reference"]);
if (backends.length !== 1) refuse(`--backend: must be one backend; got ${values.backend}`);
const [backendName] = /** @type {("native" | "wasm" | "reference")[]} */ (backends);
const rounds = wholeNumber("rounds", values.rounds);
const threads = wholeNumber("threads", values.threads);

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
/**
 * 65 characters, the number in Tiny Shakespeare. Each character is one byte, so the number of output bytes is the
 * number of tokens.
 */
const characters = Array.from({ length: 65 }, (_, i) => String.fromCharCode(0x3a + i));
const folder = mkdtempSync(join(tmpdir(), "foretoken-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** Executes the command. Resolves to the lengths of its output over time, with times in milliseconds from the start. */
const runCommand = (...args) =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(process.execPath, [command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    /** @type {{ length: number, at: number }[]} */
    const reached = [];
    let length = 0;
    let errors = "";
    child.stdout.on("data", (data) => {
      length += data.length;
      reached.push({ length, at: performance.now() - began });
    });
    child.stderr.on("data", (data) => {
      errors += data;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve({ reached, ended: performance.now() - began });
      else reject(new Error(`foretoken ${args[0]} ended with ${status}: ${errors.trim()}`));
    });
  });

/** Median of each figure in the results of `once`. */
const medians = async (once) => {
  const all = [];
  for (let round = 0; round < rounds; round++) all.push(await once());
  return Object.fromEntries(Object.keys(all[0]).map((key) => [key, median(all.map((one) => one[key]))]));
};

const checkpointOf = async (name) => {
  const directory = join(folder, name);
  const backend = await openBackend(backendName, { threads });
  const lm = languageModel(freshModel(backend, configs[name].model, characters.length, 1), charTokenizer(characters));
  await savePretrained(directory, lm);
  await lm.close();
  await backend.close();
  return directory;
};

const prompt = characters[0];
const running = (dtype) => ["--backend", backendName, "--threads", String(threads), "--dtype", dtype];

/** Measures the command, in a new process. */
const throughCommand = (directory, dtype, tokens) =>
  medians(async () => {
    const flags = ["--prompt", prompt, "--max-new-tokens", String(tokens), ...running(dtype)];
    const { reached } = await runCommand("generate", directory, ...flags);
    const { length: already, at: firstToken } = reached.find(({ length }) => length > prompt.length);
    const { at: last } = reached.find(({ length }) => length >= prompt.length + tokens);
    // On a busy machine, the whole text may arrive at once. Then its speed is unknown.
    const tokensPerSecond = last > firstToken ? (1000 * (tokens + prompt.length - already)) / (last - firstToken) : 0;
    return { firstToken, tokensPerSecond };
  });

/** Measures the library, after some texts as a warm-up. */
const throughLibrary = async (directory, dtype, tokens, promptTokens) => {
  const lm = await loadPretrained(directory, {
    backend: backendName,
    threads,
    dtype: /** @type {"float32" | "bfloat16"} */ (dtype),
  });
  const write = async () => {
    let firstToken;
    for await (const event of generate(lm, { prompt, maxNewTokens: tokens })) {
      if (event.type === "token" && event.index === 0) firstToken = performance.now();
    }
    return { tokensPerSecond: (1000 * (tokens - 1)) / (performance.now() - firstToken) };
  };
  const ids = [...randomTokens(promptTokens, characters.length)];
  const read = async () => {
    const { model } = lm;
    const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
    const began = performance.now();
    await engine.write({ model, prompt: ids, maxNewTokens: 1, choose: () => null }).ended;
    const milliseconds = performance.now() - began;
    await engine.close();
    return { milliseconds };
  };
  for (let i = 0; i < 5; i++) {
    await write();
    await read();
  }
  const { tokensPerSecond } = await medians(write);
  const { milliseconds: promptMilliseconds } = await medians(read);
  const { instructionSet } = lm.model.backend.capabilities;
  await lm.close();
  return { tokensPerSecond, promptMilliseconds, instructionSet };
};

const about = machine();
console.log(machineLine(about));
const smallest = await checkpointOf("nano-cpu");
const { milliseconds: help } = await medians(async () => ({ milliseconds: (await runCommand("--help")).ended }));
const { firstToken } = await throughCommand(smallest, "auto", 20);
console.log(`foretoken --help ${digits(help)} ms; first token of nano-cpu ${digits(firstToken)} ms after the start\n`);

const results = [];
for (const name of names) {
  const directory = name === "nano-cpu" ? smallest : await checkpointOf(name);
  const { contextLength } = configs[name].model;
  const tokens = contextLength - 1;
  const promptTokens = contextLength / 2;
  for (const dtype of dtypes) {
    const fresh = await throughCommand(directory, dtype, tokens);
    const warm = await throughLibrary(directory, dtype, tokens, promptTokens);
    const { instructionSet, tokensPerSecond, promptMilliseconds } = warm;
    results.push({
      name,
      dtype,
      backend: backendName,
      instructionSet,
      tokens,
      promptTokens,
      promptMilliseconds,
      firstTokenMilliseconds: fresh.firstToken,
      commandTokensPerSecond: fresh.tokensPerSecond,
      tokensPerSecond,
    });
  }
}
process.stdout.write(
  textTable([
    ["", "tokens/s, command", "tokens/s, library", "first token, ms", "prompt tokens/s"],
    ...results.map((one) => [
      `${one.name} ${one.dtype}`,
      one.commandTokensPerSecond > 0 ? count(one.commandTokensPerSecond) : "–",
      count(one.tokensPerSecond),
      digits(one.firstTokenMilliseconds),
      count((1000 * one.promptTokens) / one.promptMilliseconds),
    ]),
  ]),
);
if (typeof values.json === "string") {
  const all = { machine: about, threads, start: { help, firstToken }, measurements: results };
  writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`);
}
