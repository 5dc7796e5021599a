/**
 * Measures servers under load: `foretoken serve`, and llama.cpp with a minimal server (peers/llama_server.mjs, because
 * no registry has a prebuilt server of llama.cpp). Both servers have the same model and take turns. The clients are in
 * another process and read event streams.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/serve.mjs --model FOLDER/smollm2-bf16.gguf [--dtype bfloat16] [--threads 2] [--rounds 5] [--streams 1,16]
 *                          [--prompt 64] [--tokens 128] [--only foretoken,llama.cpp] [--json FILE]
 *
 * In a round, all streams are requested at once. Each stream has its own prompt of token ids. Tokens are chosen
 * greedily. Prints tokens per second from the first request to the last token. Also prints the time from the request to
 * the first token of a stream: the median and the 99th percentile over all rounds.
 */
import { fork, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, digits, median, ratioAndRange, textTable } from "./lib/statistics.mjs";

const known = ["foretoken", "llama.cpp"];
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    streams: { type: "string", default: "1,16" },
    prompt: { type: "string", default: "64" },
    tokens: { type: "string", default: "128" },
    only: { type: "string", default: known.join(",") },
    json: { type: "string" },
  },
});
const model = values.model ?? refuse("--model: must name a model");
const [dtype] = namesOf("dtype", values.dtype, ["auto", "bfloat16", "float32"]);
const programs = namesOf("only", values.only, known);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
const streams = values.streams.split(",").map((one) => wholeNumber("streams", one));
const promptTokens = wholeNumber("prompt", values.prompt);
const newTokens = wholeNumber("tokens", values.tokens);
const most = Math.max(...streams);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
if (programs.includes("llama.cpp") && !existsSync(here("peers-llama/node_modules/node-llama-cpp")))
  refuse("node-llama-cpp: try npm install --prefix bench/peers-llama --ignore-scripts, or --only foretoken");

const commands = {
  foretoken: [
    ...[here("../dist/cli/main.js"), "serve", model, "--port", "0", "--threads", String(threads), "--dtype", dtype],
    ...["--parallel", String(most), "--no-log"],
  ],
  "llama.cpp": [
    here("peers/llama_server.mjs"),
    JSON.stringify({ model, threads, streams: most, contextSize: promptTokens + newTokens }),
  ],
};

/** Starts a server. Resolves to its process and its address. */
const start = async (program) => {
  const server = spawn(process.execPath, commands[program], { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => server.kill("SIGKILL"));
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /http:\S+/u.exec(line)?.[0];
    if (url === undefined) continue;
    server.stdout.resume();
    return { server, url };
  }
  throw new Error(`${program} must print an address; it ended without one`);
};

const clients = fork(here("peers/stream_clients.mjs"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
const ask = (message) =>
  new Promise((resolve, reject) => {
    clients.once("exit", reject);
    clients.once("message", (answer) => {
      clients.off("exit", reject);
      resolve(answer);
    });
    clients.send(message);
  });

const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.ceil(share * numbers.length) - 1];

const servers = Object.fromEntries(await Promise.all(programs.map(async (program) => [program, await start(program)])));
/** Vocabulary size. If `foretoken serve` is not measured, it is the vocabulary size of SmolLM2. */
const sizeOf = async () => {
  if (servers.foretoken === undefined) return 49_152;
  const info = await fetch(`${servers.foretoken.url.replace(/v1$/u, "")}tokenizer_info`);
  return (await info.json()).vocab_size;
};
const vocabSize = await sizeOf();
console.log(machineLine(machine()));
const rows = [["streams", "", "tokens/s", "× one stream", "first token, p50", "p99", "ratio of tokens/s"]];
const results = [];
const single = {};
for (const number of streams) {
  const rates = Object.fromEntries(programs.map((program) => [program, []]));
  const firsts = Object.fromEntries(programs.map((program) => [program, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const program of programs) {
      const { url } = servers[program];
      const { seconds, tokens, first } = await ask({ url, streams: number, round, promptTokens, newTokens, vocabSize });
      // The first round is a warm-up.
      if (round === 0) continue;
      rates[program].push(tokens / seconds);
      firsts[program].push(...first);
    }
  }
  const ratios = programs.length === 2 ? rates.foretoken.map((one, i) => one / rates["llama.cpp"][i]) : undefined;
  for (const program of programs) {
    const rate = median(rates[program]);
    single[program] ??= rate / number;
    const [p50, p99] = [median(firsts[program]), quantile(firsts[program], 0.99)];
    const ratio = ratios === undefined || program !== "foretoken" ? "" : ratioAndRange(ratios);
    const line = [String(number), program, count(rate), `${digits(rate / single[program])}×`];
    rows.push([...line, `${digits(p50)} ms`, `${digits(p99)} ms`, ratio]);
    results.push({ streams: number, program, rate, p50, p99, ratios });
  }
}
console.log(textTable(rows));
clients.kill();
for (const { server } of Object.values(servers)) server.kill();
if (values.json !== undefined) {
  const about = { machine: machine(), model, dtype, threads, promptTokens, newTokens };
  writeFileSync(values.json, `${JSON.stringify({ ...about, results })}\n`);
}
