/**
 * Checks the folders of `saveOnnx` with transformers.js, in Node and in headless Chromium. The script writes each model
 * in float32 and in eight bits. There are character and byte-level BPE models after some training steps, models of
 * every architecture with random weights, and, with --model, your own model. Foretoken and transformers.js must give
 * the same greedy tokens for ten prompts of each model, and the same ids for random texts. The loss on a text is also
 * compared.
 *
 *     npm install --prefix bench/peers-onnx --ignore-scripts     (once)
 *     node bench/onnx-files.mjs [--tokens 100] [--texts 1000] [--steps 100] [--only NAME] [--model FILE] [--page]
 *
 * The exit status is 1 in three cases. Ids differ. Float32 tokens differ although the two best logits are more than
 * 0.01 apart. Or the loss in eight bits is more than 0.1 nats higher.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import * as foretoken from "../dist/index.js";
import { writeCheckpoint } from "../dist/io/checkpoint.node.js";
import { onnxFolder, sourceOf } from "../dist/pretrained/onnx/contents.js";
import { openPage } from "./lib/model-page.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";
import { answersOf } from "./peers-onnx/answers.js";

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "100" },
    texts: { type: "string", default: "1000" },
    steps: { type: "string", default: "100" },
    only: { type: "string" },
    model: { type: "string" },
    page: { type: "boolean", default: false },
  },
});
const [tokens, texts, steps] = ["tokens", "texts", "steps"].map((name) => wholeNumber(name, values[name]));
const limits = { gap: 0.01, loss: 0.1 };
const peer = new URL("peers-onnx/node_modules/@huggingface/transformers/", import.meta.url);
if (!existsSync(fileURLToPath(peer)))
  refuse("@huggingface/transformers: try npm install --prefix bench/peers-onnx --ignore-scripts");
const transformers = await import(new URL("dist/transformers.node.mjs", peer).href);

let state = 1;
const random = (below) => {
  state = (1664525 * state + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

const contextLength = 160;
const shakespeare = foretoken.presets.shakespeare.model;
const sizes = { contextLength, nLayer: 2, nHead: 4, nKvHead: 2, nEmbd: 64 };
const llama = { ...shakespeare, ...sizes, qkNorm: false, mlp: { kind: "swiglu", hidden: 192 } };
const qwen3 = { ...shakespeare, ...sizes, headDim: 24, mlp: { kind: "swiglu", hidden: 192 } };
const drawn = { ...llama, initStd: 0.25, zeroProjections: false };
const bias = (qkv, projection, mlp) => ({ qkv, projection, mlp });
const rope = (rest) => ({ kind: "rope", theta: 10_000, ...rest });
const wide = { kind: "llama3", factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 16 };

/** Models with random weights. */
const architectures = {
  "llama, biases": { ...drawn, bias: bias(true, true, true), tieEmbeddings: false },
  "llama, Llama 3's scaling": { ...drawn, position: rope({ scaling: wide }) },
  "llama, linear scaling": { ...drawn, position: rope({ scaling: { kind: "linear", factor: 4 } }) },
  qwen2: { ...drawn, bias: bias(true, false, false) },
  phi3: { ...drawn, position: rope({ fraction: 0.5 }) },
  gpt2: { ...foretoken.presets.gpt2.model, contextLength, nLayer: 2, nHead: 4, nEmbd: 64, initStd: 0.25 },
};

const bpe = { kind: "bpe", vocabSize: 600, pattern: "gpt4", specialTokens: ["<|endoftext|>"] };
/** Runs that also train a tokenizer. */
const trained = {
  "characters, Qwen3's shape": { tokenizer: { kind: "char" }, model: qwen3 },
  "characters, GPT-2's shape": { tokenizer: { kind: "char" }, model: { ...architectures.gpt2, initStd: 0.02 } },
  "BPE, Llama's shape": { tokenizer: bpe, model: llama },
  "BPE, Qwen3's shape": { tokenizer: { ...bpe, pattern: "qwen2" }, model: qwen3 },
};

const corpus = (await foretoken.loadCorpus("tiny-shakespeare")).train;
const folder = mkdtempSync(join(tmpdir(), "onnx-files-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const models = join(folder, "models");
const backend = await foretoken.openBackend("native", { dtype: "float32" });
Object.assign(transformers.env, { allowRemoteModels: false, localModelPath: models });
const page = values.page ? await openPage(models) : undefined;

const drawnModel = (config) => {
  const tokenizer = foretoken.trainCharTokenizer(corpus);
  const model = foretoken.freshModel(backend, config, tokenizer.vocabSize, 7);
  for (const { name, size, offset } of model.layout.parameters) {
    // The initial values of these weights are zeros, which would hide mistakes.
    if (!name.endsWith(".bias")) continue;
    const numbers = Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(1.7 * i + offset));
    backend.write(model.arena.storage, numbers, offset);
  }
  return foretoken.languageModel(model, tokenizer);
};

const trainedModel = async (config, directory) => {
  const train = { steps, evalInterval: steps, sampleTokens: 0, batchSize: 16 };
  for await (const _ of foretoken.train({
    text: corpus,
    out: directory,
    backend,
    config: { ...config, train },
    finalSampleTokens: 0,
  }));
  return foretoken.loadPretrained(join(directory, "best"), { backend });
};

/** Greedy ids of Foretoken. */
const ourIds = async (lm, prompt, count) => {
  const ids = [];
  for await (const event of foretoken.generate(lm, { prompt, maxNewTokens: count, temperature: 0 })) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
};

/** The gap between the two best logits after these ids. */
const gapAfter = async (lm, ids) => {
  const { data, shape } = await lm.logits(ids);
  const [best, second] = [...data.subarray(data.length - shape[1])].sort((a, b) => b - a);
  return best - second;
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

const rows = [];
let failures = 0;

/** Compares the results of transformers.js for a folder, in Node or in the page, with the results of Foretoken. */
const compare = async (name, lm, { dtype, runtime, asked, ours, loss }, answers) => {
  const otherIds = asked.texts.filter((text, i) => lm.tokenizer.encode(text).join() !== answers.ids[i].join()).length;
  let [same, worst, firsts] = [0, 0, 0];
  for (const [i, mine] of ours.entries()) {
    const theirs = answers.written[i];
    const at = theirs.findIndex((id, place) => id !== mine[place]);
    firsts += at === -1 ? mine.length : at;
    if (at === -1) same++;
    else worst = Math.max(worst, await gapAfter(lm, [...asked.prompts[i], ...mine.slice(0, at)]));
  }
  const isWrong = dtype === "fp32" ? worst > limits.gap : answers.loss > loss + limits.loss;
  if (otherIds > 0 || isWrong) failures++;
  const row = [
    ...[name, runtime, dtype, `${asked.texts.length - otherIds} of ${asked.texts.length}`],
    ...[`${same} of ${ours.length}`, (firsts / ours.length).toFixed(0), worst.toFixed(4)],
    ...[loss.toFixed(4), answers.loss.toFixed(4)],
  ];
  rows.push(row);
  console.error(row.join(" | "));
};

/** Saves a model with its tensors in separate files, as for a model of more than 2 GiB. */
const saveBeside = async (path, lm) => {
  const files = onnxFolder(sourceOf(lm), "saveOnnx", {}, { inside: 1000, beside: 200_000 });
  await writeCheckpoint(path, Object.fromEntries(Object.entries(files).map(([name, { pieces }]) => [name, pieces()])));
};

const saveAsUsual = async (path, lm) => {
  await foretoken.saveOnnx(path, lm);
};

const check = async (name, make, save = saveAsUsual) => {
  if (values.only !== undefined && values.only !== name) return;
  const place = `model-${rows.length}`;
  const made = await make(join(folder, `${place}-run`));
  // No token ends a text, so that all texts have equal lengths.
  const lm = { ...made, tokenizer: { ...made.tokenizer, endOfText: null }, endTokens: [] };
  const context = Math.min(lm.model.config.contextLength, contextLength);
  await save(join(models, place), lm);
  const asked = { texts: [], prompts: [], windows: [], tokens: [tokens, context] };
  for (let i = 0; i < texts; i++) asked.texts.push(randomText(lm.tokenizer, i));
  for (let i = 0; i < 10; i++) {
    const start = random(corpus.length - 1000);
    asked.prompts.push([...lm.tokenizer.encode(corpus.slice(start, start + 40))]);
    asked.windows.push([...lm.tokenizer.encode(corpus.slice(start, start + 1000))].slice(0, context));
  }
  const ours = [];
  for (const ids of asked.prompts) ours.push(await ourIds(lm, ids, Math.min(tokens, context - ids.length)));
  let loss = 0;
  for (const ids of asked.windows) loss -= (await lm.score(ids)).mean / asked.windows.length;
  for (const dtype of ["fp32", "q8"]) {
    const given = { ...asked, dtype };
    const here = { dtype, asked, ours, loss };
    await compare(name, lm, { ...here, runtime: "Node" }, await answersOf(transformers, place, given));
    if (page !== undefined) await compare(name, lm, { ...here, runtime: "Chromium" }, await page.answers(place, given));
  }
  await lm.close();
};

/** Runs the example programs of docs/guides/transformers-js.md. */
const runPrograms = async () => {
  const [config] = Object.values(trained);
  const lm = await trainedModel(config, join(folder, "notes"));
  await foretoken.saveOnnx(join(models, "notes-onnx"), lm);
  await lm.close();
  const program = fileURLToPath(new URL("peers-onnx/write.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: folder });
  const written = { Node: stdout.trim(), ...(page !== undefined && { Chromium: await page.write() }) };
  for (const [runtime, text] of Object.entries(written)) {
    console.log(`the guide's program in ${runtime}: ${JSON.stringify(text)}`);
    if (!text.startsWith("The ") || text.length < 50) failures++;
  }
};

if (values.only === undefined) await runPrograms();
for (const [name, config] of Object.entries(trained)) await check(name, (place) => trainedModel(config, place));
for (const [name, config] of Object.entries(architectures)) await check(name, () => drawnModel(config));
await check("gpt2, tensors in other files", () => drawnModel(architectures.gpt2), saveBeside);
if (values.model !== undefined) {
  await check(values.model, () =>
    foretoken.loadPretrained(values.model, { backend, dtype: "float32", keepBlocks: false }),
  );
}
const titles = [
  ...["model", "runtime", "dtype", "same ids", "same texts"],
  ...["tokens before a difference", "largest gap there", "loss here", "loss there"],
];
console.log(textTable([titles, ...rows]));
await page?.close();
await backend.close();
process.exit(failures === 0 ? 0 : 1);
