/**
 * Checks the GGUF files of `saveGguf` with llama.cpp. The script writes models of every architecture with random
 * weights. It also writes character and byte-level BPE models after some training steps. All models are in float32. For
 * ten prompts of each model, the greedy tokens must be equal in three cases: the model, its file in Foretoken, and its
 * file in llama.cpp. For random texts, the token ids must be equal. llama.cpp is used through `node-llama-cpp`, with a
 * float32 KV cache.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     node bench/llama-files.mjs [--tokens 100] [--texts 1000] [--steps 100] [--only NAME]
 *
 * The exit status is 1 if ids differ. It is also 1 if tokens differ although llama.cpp's two best logits are more than
 * 0.01 apart.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as foretoken from "../dist/index.js";
import { greedyIds, openLlama, openSequence } from "./lib/llama-peer.mjs";
import { wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "100" },
    texts: { type: "string", default: "1000" },
    steps: { type: "string", default: "100" },
    only: { type: "string" },
  },
});
const [tokens, texts, steps] = ["tokens", "texts", "steps"].map((name) => wholeNumber(name, values[name]));
const limit = 0.01;
let state = 1;
const random = (below) => {
  state = (1664525 * state + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

const contextLength = 160;
const llama = { ...foretoken.presets.shakespeare.model, contextLength, nLayer: 2, nHead: 4, nKvHead: 2, nEmbd: 64 };
const drawn = { ...llama, qkNorm: false, mlp: { kind: "swiglu", hidden: 96 }, initStd: 0.25, zeroProjections: false };
const bias = (qkv, projection, mlp) => ({ qkv, projection, mlp });
const rope = (rest) => ({ kind: "rope", theta: 10_000, ...rest });
const wide = { kind: "llama3", factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 16 };
const gpt2 = { ...foretoken.presets.gpt2.model, contextLength, nLayer: 2, nHead: 4, nEmbd: 64, initStd: 0.25 };

const olmo2 = { ...drawn, qkNorm: true, qkNormWidth: "all", normPlacement: "after", tieEmbeddings: false };
const gemma3 = {
  ...{ ...drawn, nLayer: 7, qkNorm: true, normPlacement: "both", headDim: 24, embeddingScale: 8 },
  ...{ mlp: { kind: "geglu", hidden: 96, approximate: "tanh" }, window: { size: 24, fullEvery: 6, theta: 10_000 } },
};

/** Models with random weights. */
const architectures = {
  llama: { ...drawn, headDim: 24, tieEmbeddings: false },
  "llama, biases": { ...drawn, bias: bias(true, true, true) },
  "llama, Llama 3's scaling": { ...drawn, position: rope({ scaling: wide }) },
  "llama, linear scaling": { ...drawn, position: rope({ scaling: { kind: "linear", factor: 4 } }) },
  qwen2: { ...drawn, bias: bias(true, false, false) },
  qwen3: { ...drawn, qkNorm: true, headDim: 32 },
  phi3: { ...drawn, position: rope({ fraction: 0.5 }) },
  olmo2,
  "olmo2, windows": { ...olmo2, nLayer: 5, window: { size: 24, fullEvery: 4 } },
  "olmo2, other windows": { ...olmo2, nLayer: 4, window: { size: 24, fullEvery: 2 } },
  smollm3: { ...drawn, nLayer: 5, position: rope({ noneEvery: 4 }) },
  gemma3,
  "gemma3, other windows": { ...gemma3, window: { size: 24, fullEvery: 2, theta: 100 }, headDim: 32 },
  "gemma3, all layers": { ...gemma3, window: { size: 24, theta: 10_000 }, position: rope({ theta: 1e6 }) },
  "gemma3, linear scaling": { ...gemma3, position: rope({ scaling: { kind: "linear", factor: 4 } }) },
  gpt2,
};

/** Runs that also train a tokenizer. */
const trained = {
  characters: { tokenizer: { kind: "char" } },
  "BPE, gpt2": { tokenizer: { kind: "bpe", vocabSize: 600, pattern: "gpt2", specialTokens: [] } },
  "BPE, gpt4, an end": {
    tokenizer: { kind: "bpe", vocabSize: 600, pattern: "gpt4", specialTokens: ["<|endoftext|>"] },
  },
  "BPE, qwen2": { tokenizer: { kind: "bpe", vocabSize: 600, pattern: "qwen2", specialTokens: [] } },
};

const corpus = (await foretoken.loadCorpus("tiny-shakespeare")).train;
const folder = mkdtempSync(join(tmpdir(), "llama-files-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const backend = await foretoken.openBackend("native", { dtype: "float32" });

const drawnModel = async (config, directory) => {
  const tokenizer = foretoken.trainCharTokenizer(corpus);
  const model = foretoken.freshModel(backend, config, tokenizer.vocabSize, 7);
  for (const { name, size, offset } of model.layout.parameters) {
    // The initial values of these weights are zeros, which would hide mistakes.
    if (!name.endsWith(".bias")) continue;
    const numbers = Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(1.7 * i + offset));
    backend.write(model.arena.storage, numbers, offset);
  }
  await foretoken.savePretrained(directory, foretoken.languageModel(model, tokenizer));
  model.close();
};

const trainedModel = async ({ tokenizer }, directory) => {
  const config = { tokenizer, model: llama, train: { steps, evalInterval: steps, sampleTokens: 0, batchSize: 8 } };
  for await (const _ of foretoken.train({ text: corpus, out: directory, backend, config, finalSampleTokens: 0 }));
};

/** Greedy ids of Foretoken. */
const ourIds = async (lm, prompt, count) => {
  const ids = [];
  for await (const event of foretoken.generate(lm, { prompt, maxNewTokens: count, temperature: 0 })) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
};

const marks = ["é", "日", "😀", "\u0301", "  ", "\r\n", "\t", "12", "'LL", "½", "\u00a0", "…", "aB"];
/**
 * A piece of the corpus, or characters of the corpus in random order. If the tokenizer has all bytes, the text also has
 * other characters.
 */
const randomText = (tokenizer, i) => {
  const length = 1 + random(60);
  const start = random(corpus.length - length);
  if (i % 2 === 0) return corpus.slice(start, start + length);
  const pool = [...corpus.slice(start, start + 60), ...(tokenizer.kind === "char" ? [] : marks)];
  return Array.from({ length }, () => pool[random(pool.length)]).join("");
};

const engine = await openLlama();
const rows = [];
let failures = 0;
const check = async (name, make, source) => {
  if (values.only !== undefined && values.only !== name) return;
  const directory = join(folder, `model-${rows.length}`);
  await make(directory);
  const path = source(directory);
  const file = join(folder, `${rows.length}.gguf`);
  await foretoken.saveGguf(file, path);
  const endless = (lm) => ({ ...lm, tokenizer: { ...lm.tokenizer, endOfText: null }, endTokens: [] });
  const [lm, own] = await Promise.all(
    [path, file].map(async (place) => endless(await foretoken.loadPretrained(place, { backend }))),
  );
  const model = await engine.loadModel({ modelPath: file });
  const { sequence, close } = await openSequence(model, 256);
  let [otherIds, same, worst] = [0, 0, 0];
  for (let i = 0; i < texts; i++) {
    const text = randomText(lm.tokenizer, i);
    const ids = lm.tokenizer.encode(text).join();
    if (ids !== own.tokenizer.encode(text).join() || ids !== model.tokenize(text, false).join()) otherIds++;
  }
  for (let i = 0; i < 10; i++) {
    const start = random(corpus.length - 40);
    const prompt = corpus.slice(start, start + 40);
    const ids = lm.tokenizer.encode(prompt);
    const count = Math.min(tokens, contextLength - ids.length);
    const ours = await ourIds(lm, prompt, count);
    const fromFile = await ourIds(own, prompt, count);
    const theirs = await greedyIds(sequence, ids, count);
    const at = ours.findIndex((id, place) => id !== theirs.ids[place] || id !== fromFile[place]);
    if (at === -1) same++;
    else worst = Math.max(worst, theirs.gaps[at] ?? Number.POSITIVE_INFINITY);
  }
  if (otherIds > 0 || worst > limit) failures++;
  rows.push([name, `${texts - otherIds} of ${texts}`, `${same} of 10`, worst.toFixed(4)]);
  await close();
  await model.dispose();
};

for (const [name, config] of Object.entries(architectures)) {
  await check(
    name,
    (directory) => drawnModel(config, directory),
    (directory) => directory,
  );
}
for (const [name, config] of Object.entries(trained)) {
  await check(
    name,
    (directory) => trainedModel(config, directory),
    (directory) => join(directory, "best"),
  );
}
console.log(textTable([["model", "same ids", `same ${tokens} tokens`, "gap where not"], ...rows]));
await backend.close();
process.exit(failures === 0 ? 0 : 1);
