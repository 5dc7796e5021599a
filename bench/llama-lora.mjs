/**
 * Fine-tunes a model with LoRA for some steps, and checks two exports in llama.cpp. One export is the merged model as a
 * GGUF file. The other export is the adapter as a GGUF file, for the original model file. For ten prompts, the greedy
 * tokens must be equal in five cases. In Foretoken: the run, the merged file, and the original file with the adapter.
 * In llama.cpp: the merged file, and the original file with the adapter. All computation is in float32, so MODEL should
 * be a file in F32.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/llama-lora.mjs --model FOLDER/smollm2-f32.gguf [--tokens 100] [--steps 20] [--rank 8]
 *
 * The exit status is 1 if the adapter changes nothing. It is also 1 if tokens differ although the two best logits are
 * more than 0.01 apart.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as foretoken from "../dist/index.js";
import { greedyIds, openLlama, openSequence } from "./lib/llama-peer.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    tokens: { type: "string", default: "100" },
    steps: { type: "string", default: "20" },
    rank: { type: "string", default: "8" },
  },
});
const model = values.model ?? refuse("--model: must name a GGUF file");
const [tokens, steps, rank] = ["tokens", "steps", "rank"].map((name) => wholeNumber(name, values[name]));
const limit = 0.01;
const contextSize = 256;

const folder = mkdtempSync(join(tmpdir(), "llama-lora-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const corpus = (await foretoken.loadCorpus("tiny-shakespeare")).train.slice(0, 200_000);
const out = join(folder, "run");
const config = /** @type {const} */ ({
  lora: { rank },
  model: { contextLength: 128 },
  train: { steps, batchSize: 4, evalInterval: steps, sampleTokens: 0, dtype: "float32", learningRate: 1e-3 },
});
for await (const event of foretoken.train({ text: corpus, out, initFrom: model, config, finalSampleTokens: 0 })) {
  if (event.type === "eval") console.log(`step ${event.step}: ${event.valLoss.toFixed(4)} nats per token`);
}
const run = join(out, "checkpoint");
const [merged, adapter] = [join(folder, "merged.gguf"), join(folder, "adapter.gguf")];
await foretoken.exportModel(merged, run, { format: "gguf" });
const { bytes } = await foretoken.exportModel(adapter, run, { format: "gguf", adapterOnly: true });
console.log(`adapter.gguf: ${(bytes / 2 ** 20).toFixed(1)} MiB`);

const open = async (place, options = {}) => {
  const lm = await foretoken.loadPretrained(place, { dtype: "float32", keepBlocks: false, ...options });
  // Generation continues after an end token, so that all texts have equal lengths.
  return { ...lm, model: lm.model, tokenizer: { ...lm.tokenizer, endOfText: null }, endTokens: [] };
};
/** Greedy ids of Foretoken after each prompt. */
const ours = async (prompts, place, options) => {
  const lm = await open(place, options);
  const all = [];
  for (const prompt of prompts) {
    const ids = [];
    for await (const event of foretoken.generate(lm, { prompt, maxNewTokens: tokens, temperature: 0 })) {
      if (event.type === "token") ids.push(event.id);
    }
    all.push(ids);
  }
  await lm.close();
  return all;
};
const engine = await openLlama();
/** Greedy ids of llama.cpp, each with the gap between the two best logits. */
const theirs = async (prompts, modelPath, more) => {
  const loaded = await engine.loadModel({ modelPath });
  const { sequence, close } = await openSequence(loaded, contextSize, more);
  const all = [];
  for (const prompt of prompts) all.push(await greedyIds(sequence, prompt, tokens));
  await close();
  await loaded.dispose();
  return all;
};

const base = await open(model);
const prompts = Array.from({ length: 10 }, (_, i) => [
  ...base.tokenizer.encode(corpus.slice(19_000 * i, 19_000 * i + 80)).slice(0, 24),
]);
await base.close();
const plain = await ours(prompts, model);
const expected = await ours(prompts, run);
const forms = {
  "here, merged file": { ids: await ours(prompts, merged) },
  "here, file and adapter": { ids: await ours(prompts, model, { adapter }) },
  "llama.cpp, merged file": { gapped: await theirs(prompts, merged) },
  "llama.cpp, file and adapter": { gapped: await theirs(prompts, model, { lora: adapter }) },
};
let failures = 0;
const rows = Object.entries(forms).map(([name, { ids, gapped }]) => {
  let [same, worst] = [0, 0];
  for (const [i, own] of expected.entries()) {
    const found = ids?.[i] ?? gapped[i].ids;
    const at = own.findIndex((id, place) => id !== found[place]);
    if (at === -1) same++;
    else worst = Math.max(worst, gapped?.[i].gaps[at] ?? 0);
  }
  if (worst > limit) failures++;
  return [name, `${same} of 10`, worst.toFixed(4)];
});
const changed = expected.filter((ids, i) => ids.join() !== plain[i].join()).length;
if (changed === 0) failures++;
console.log(textTable([["form", `same ${tokens} tokens as the run`, "gap where not"], ...rows]));
console.log(`the adapter changes the text after ${changed} of 10 prompts`);
process.exit(failures === 0 ? 0 : 1);
