/**
 * Measures the time to generate many texts at once, in Foretoken and in llama.cpp with its own batching, with the same
 * GGUF file. Both programs stay loaded and take turns.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/engine.mjs --model FOLDER/smollm2-bf16.gguf [--dtype bfloat16] [--threads 2] [--rounds 5] [--streams 1,4,16]
 *                           [--prompt 64] [--tokens 128] [--sampling greedy,default] [--only foretoken,llama.cpp] [--json FILE]
 *
 * Every text has its own prompt. The measured time begins with the first request and ends with the last token, so it
 * includes the prompts. `default` is temperature 0.8 and the 40 likeliest tokens. Prints tokens per second, as medians
 * of the rounds, and the ratio of each round.
 */
import { fork } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, digits, median, ratioAndRange, textTable } from "./lib/statistics.mjs";

const samplings = ["greedy", "default"];
const known = ["foretoken", "llama.cpp"];
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    streams: { type: "string", default: "1,4,16" },
    prompt: { type: "string", default: "64" },
    tokens: { type: "string", default: "128" },
    sampling: { type: "string", default: samplings.join(",") },
    only: { type: "string", default: known.join(",") },
    json: { type: "string" },
  },
});
const model = values.model ?? refuse("--model: must name a model");
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const programs = namesOf("only", values.only, known);
const ways = namesOf("sampling", values.sampling, samplings);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
const streams = values.streams.split(",").map((one) => wholeNumber("streams", one));
const promptTokens = wholeNumber("prompt", values.prompt);
const newTokens = wholeNumber("tokens", values.tokens);
const peer = new URL("peers-llama/node_modules/node-llama-cpp", import.meta.url);
if (programs.includes("llama.cpp") && !existsSync(fileURLToPath(peer)))
  refuse("node-llama-cpp: try npm install --prefix bench/peers-llama --ignore-scripts, or --only foretoken");

const child = fileURLToPath(new URL("peers/many-texts.mjs", import.meta.url));

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

const most = Math.max(...streams);
const running = Object.fromEntries(
  await Promise.all(
    programs.map(async (program) => {
      const about = { program, model, dtype, threads, promptTokens, newTokens, streams: most };
      const process = fork(child, [JSON.stringify(about)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
      const { about: set } = await answerOf(process);
      const ask = (what) => {
        const answer = answerOf(process);
        process.send(what);
        return answer;
      };
      return [program, { set, ask }];
    }),
  ),
);

console.log(machineLine(machine()));
console.log(programs.map((program) => `${program}: ${running[program].set}`).join("; "));
const rows = [["", "streams", ...programs.map((program) => `${program}, tokens/s`), "ratio", "× one stream"]];
const results = [];
for (const sampling of ways) {
  let single;
  for (const number of streams) {
    const seconds = Object.fromEntries(programs.map((program) => [program, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const program of programs) {
        const { seconds: taken } = await running[program].ask({ sampling, streams: number, round });
        // The first round is a warm-up.
        if (round > 0) seconds[program].push(taken);
      }
    }
    const tokens = number * newTokens;
    const rates = programs.map((program) => tokens / median(seconds[program]));
    single ??= rates[0] / number;
    const ratios = programs.length === 2 ? seconds.foretoken.map((one, i) => seconds["llama.cpp"][i] / one) : undefined;
    rows.push([
      sampling,
      String(number),
      ...rates.map(count),
      ratios === undefined ? "" : ratioAndRange(ratios),
      `${digits(rates[0] / single)}×`,
    ]);
    results.push({
      sampling,
      streams: number,
      rates: Object.fromEntries(programs.map((one, i) => [one, rates[i]])),
      ratios,
    });
  }
}
console.log(textTable(rows));
for (const program of programs) await running[program].ask("end");
if (values.json !== undefined) {
  const about = { machine: machine(), model, dtype, threads, promptTokens, newTokens };
  writeFileSync(values.json, `${JSON.stringify({ ...about, results })}\n`);
}
