/**
 * Measures the speed of generation and of prompts in Foretoken and in llama.cpp, with the same GGUF file. Both programs
 * stay loaded and take turns. Between the turns, the memory bandwidth is measured. llama.cpp is used through
 * `node-llama-cpp`.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/llama.mjs --model FOLDER/smollm2-bf16.gguf [--dtype bfloat16] [--threads 2] [--rounds 7] [--starts 3]
 *                          [--prompt 512] [--tokens 48] [--json FILE]
 *
 * Prints medians of the rounds. To generate one token, a program reads all weights once. So the used bandwidth is the
 * size of the weights in bytes times the tokens per second. llama.cpp keeps the weights in the format of the file.
 * Foretoken keeps blocks of 4 to 8 bits, and converts all other matrices to --dtype. The time to the first token begins
 * at the start of a new process. The prompt has 16 tokens, and the file is in the system's cache.
 */
import { fork } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeBackends } from "../dist/backend/select.node.js";
import { openFileSource } from "../dist/io/file-source.node.js";
import { encodings } from "../dist/io/gguf/encodings.js";
import { openGgufFile } from "../dist/io/gguf/gguf.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { measureReading } from "./lib/roofs.mjs";
import { count, digits, mebibytes, median, percent, ratioAndRange, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "7" },
    starts: { type: "string", default: "3" },
    prompt: { type: "string", default: "512" },
    tokens: { type: "string", default: "48" },
    json: { type: "string" },
  },
});
const model = values.model ?? refuse("--model: must name a GGUF file");
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
const starts = wholeNumber("starts", values.starts);
const promptTokens = wholeNumber("prompt", values.prompt);
const newTokens = wholeNumber("tokens", values.tokens);
if (!existsSync(fileURLToPath(new URL("peers-llama/node_modules/node-llama-cpp", import.meta.url))))
  refuse("node-llama-cpp: try npm install --prefix bench/peers-llama --ignore-scripts");

const child = fileURLToPath(new URL("peers/decoding.mjs", import.meta.url));
const programs = /** @type {const} */ (["foretoken", "llama.cpp"]);

/** Waits for the next message of a process. */
const answerOf = (process) =>
  new Promise((resolve, reject) => {
    const fail = (status) => reject(new Error(`a program ended with ${status}`));
    process.once("exit", fail);
    process.once("message", (message) => {
      process.off("exit", fail);
      resolve(message);
    });
  });

/** Starts a program. Resolves when its first token has arrived. */
const start = async (program) => {
  const began = performance.now();
  const about = { program, model, dtype, threads, promptTokens, newTokens };
  const process = fork(child, [JSON.stringify(about)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const first = await answerOf(process);
  const seconds = (performance.now() - began) / 1000;
  const ask = (what) => {
    const answer = answerOf(process);
    process.send(what);
    return answer;
  };
  return { about: first.about, seconds, ask, end: () => ask("end") };
};

const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");
const instructionSet =
  native?.available === true ? native.instructionSet : refuse("native backend: try npm run build with a C++ compiler");

/**
 * Bytes of all weights in the memory of each program. Foretoken keeps blocks of few bits, and converts all other
 * weights to --dtype.
 */
const readWeightBytes = async () => {
  const source = await openFileSource(model, model);
  try {
    const { tensors } = await openGgufFile(source, model);
    const bytes = { "llama.cpp": statSync(model).size, foretoken: 0 };
    for (const { encoding, shape } of tensors) {
      const { blockLength, blockBytes } = [...encodings.values()].find(({ name }) => name === encoding);
      const values = shape.reduce((product, size) => product * size, 1);
      const isNumber = blockLength === 1 && shape.length > 1;
      bytes.foretoken += isNumber ? values * (dtype === "bfloat16" ? 2 : 4) : (values / blockLength) * blockBytes;
    }
    return bytes;
  } finally {
    await source.close();
  }
};
const weightBytes = await readWeightBytes();

console.log(machineLine(machine()));
const firstTokens = { foretoken: [], "llama.cpp": [] };
for (let i = 0; i < starts; i++) {
  for (const program of programs) {
    const started = await start(program);
    firstTokens[program].push(started.seconds);
    await started.end();
  }
}
const running = { foretoken: await start("foretoken"), "llama.cpp": await start("llama.cpp") };
/** @type {Record<string, Record<"read" | "write", number[]>>} */
const seconds = { foretoken: { read: [], write: [] }, "llama.cpp": { read: [], write: [] } };
const bandwidths = [];
for (let round = 0; round <= rounds; round++) {
  const bandwidth = await measureReading(instructionSet, threads, weightBytes.foretoken);
  if (round > 0) bandwidths.push(bandwidth);
  for (const what of /** @type {const} */ (["write", "read"])) {
    for (const program of programs) {
      const { seconds: taken } = await running[program].ask(what);
      // The first round is a warm-up.
      if (round > 0) seconds[program][what].push(taken);
    }
  }
}

const rows = [["", "tokens/s", "share of bandwidth", "prompt tokens/s", "first token", "peak memory"]];
const result = { machine: machine(), model, dtype, threads, bandwidth: median(bandwidths), programs: {} };
for (const program of programs) {
  const { read, write } = seconds[program];
  const { peakBytes } = await running[program].end();
  const shares = write.map((one, i) => weightBytes[program] / one / 1e9 / bandwidths[i]);
  const figures = {
    about: running[program].about,
    tokensPerSecond: 1 / median(write),
    share: median(shares),
    promptTokensPerSecond: promptTokens / median(read),
    firstTokenSeconds: median(firstTokens[program]),
    peakBytes,
  };
  result.programs[program] = figures;
  rows.push([
    `${program} (${figures.about})`,
    digits(figures.tokensPerSecond),
    percent(figures.share),
    count(figures.promptTokensPerSecond),
    `${digits(figures.firstTokenSeconds)} s`,
    mebibytes(peakBytes),
  ]);
}
const times = (what) => seconds["llama.cpp"][what].map((theirs, i) => theirs / seconds.foretoken[what][i]);
rows.push(["ratio", ratioAndRange(times("write")), "", ratioAndRange(times("read")), "", ""]);
console.log(`\nRead bandwidth of ${threads} threads: ${digits(result.bandwidth)} GB/s\n`);
console.log(textTable(rows));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
