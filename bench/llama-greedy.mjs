/**
 * Compares greedy decoding with llama.cpp on the same GGUF file. For ten prompts it prints the number of equal tokens,
 * and at the first difference the gap between the two best logits in both programs. llama.cpp is used through
 * `node-llama-cpp`, with a float32 KV cache.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/llama-greedy.mjs --model FOLDER/smollm2-f32.gguf [--tokens 100] [--threads 2] [--json FILE]
 *
 * The exit status is 1 if texts differ although a program's two best logits are more than --limit (default: 0.05)
 * apart.
 */
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { generate } from "../dist/generate/generate.js";
import { loadPretrained } from "../dist/pretrained/load.node.js";
import { withBegin } from "../dist/tokenizer/begin.js";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";

const prompts = [
  "The capital of France is",
  "Once upon a time there was a little fox who",
  "To make bread you need flour, water, salt and",
  "def fibonacci(n):\n    ",
  "The three laws of motion were first written down by",
  "Dear Sir or Madam,\n\nI am writing to",
  "In 1969, people walked on the Moon. They",
  "ROMEO: But soft! What light through yonder",
  "The difference between a virus and a bacterium is that",
  "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n",
];

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    tokens: { type: "string", default: "100" },
    threads: { type: "string", default: "2" },
    limit: { type: "string", default: "0.05" },
    json: { type: "string" },
  },
});
const path = values.model ?? refuse("--model: must name a GGUF file");
const tokens = wholeNumber("tokens", values.tokens);
const threads = wholeNumber("threads", values.threads);
const limit = Number(values.limit);
const peer = new URL("peers-llama/node_modules/node-llama-cpp/dist/index.js", import.meta.url);
if (!existsSync(fileURLToPath(peer)))
  refuse("node-llama-cpp: try npm install --prefix bench/peers-llama --ignore-scripts");
const { getLlama } = await import(peer.href);

const contextLength = 512;

/** Difference between the largest and the second largest logit. */
const gapOf = (logits) => {
  let [first, second] = [-Infinity, -Infinity];
  for (const value of logits) {
    if (value > first) [first, second] = [value, first];
    else if (value > second) second = value;
  }
  return first - second;
};

const openOurs = async () => {
  const lm = await loadPretrained(path, { backend: "native", threads });
  // Generation continues after an end token, so that all texts have equal lengths.
  return { ...lm, tokenizer: { ...lm.tokenizer, endOfText: null }, endTokens: [] };
};

const openTheirs = async () => {
  const llama = await getLlama({ build: "never", gpu: false, maxThreads: threads, logLevel: "error" });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({
    contextSize: contextLength,
    threads: { ideal: threads, min: threads },
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  return { llama, model, sequence: context.getSequence() };
};

/** Greedy ids of Foretoken after `prompt`. */
const ourIds = async (lm, prompt) => {
  const ids = [];
  for await (const event of generate(lm, { prompt, maxNewTokens: tokens, temperature: 0 })) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
};

/** Greedy ids of llama.cpp, each with the gap between its two best logits. */
const theirIds = async ({ sequence }, promptIds) => {
  await sequence.clearHistory();
  const ids = [];
  const gaps = [];
  let input = [...promptIds];
  while (ids.length < tokens) {
    const last = input.length - 1;
    const generateNext = { token: true, logits: { filter: { includeTop: 2 } }, options: { temperature: 0 } };
    input[last] = [input[last], { generateNext }];
    const results = await sequence.controlledEvaluate(input);
    const { token, logits } = results[last].next;
    ids.push(token);
    gaps.push(gapOf(logits.values()));
    input = [token];
  }
  return { ids, gaps };
};

const lm = await openOurs();
const theirs = await openTheirs();
const rows = [];
const results = [];
let failures = 0;
for (const prompt of prompts) {
  const promptIds = [...withBegin(lm.tokenizer, lm.tokenizer.encode(prompt))];
  const begin = theirs.model.tokens.shouldPrependBosToken ? [theirs.model.tokens.bos] : [];
  const theirPrompt = [...begin, ...theirs.model.tokenize(prompt, false)];
  const samePrompt = promptIds.join() === theirPrompt.join();
  const ours = await ourIds(lm, prompt);
  const llama = await theirIds(theirs, promptIds);
  const place = ours.findIndex((id, i) => id !== llama.ids[i]);
  const equal = place === -1 ? ours.length : place;
  let difference = "none";
  if (place !== -1) {
    const before = [...promptIds, ...ours.slice(0, place)];
    const { data, shape } = await lm.logits(before);
    const ourGap = gapOf(data.subarray((shape[0] - 1) * shape[1]));
    const theirGap = llama.gaps[place];
    if (Math.max(ourGap, theirGap) > limit) failures++;
    difference = `at ${place}; gaps ${ourGap.toFixed(4)} (ours), ${theirGap.toFixed(4)} (llama.cpp)`;
  }
  if (!samePrompt) failures++;
  rows.push([JSON.stringify(prompt), samePrompt ? "same" : "other", `${equal}/${tokens}`, difference]);
  results.push({ prompt, samePrompt, equal, difference, ours, theirs: llama.ids });
}
const header = ["prompt", "its ids", "tokens equal", "first difference"];
console.log(textTable([header, ...rows]));
const inAll = results.filter(({ equal }) => equal === tokens).length;
console.log(`${inAll} of ${prompts.length} texts are equal; ${failures} count as wrong (limit ${limit})`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
await lm.close();
await theirs.llama.dispose();
process.exitCode = failures === 0 ? 0 : 1;
