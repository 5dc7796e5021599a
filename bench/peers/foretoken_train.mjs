/**
 * Our side of bench/train.mjs: trains on demand and answers with step times. The same work as a step of
 * `foretoken train`: batch, forward, backward, gradient norm, Adam, and the loss read back.
 *
 * Usage: foretoken_train.mjs TEXT CONFIG_JSON
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { openBackend } from "../../dist/backend/select.node.js";
import { splitText } from "../../dist/data/corpus.js";
import { trainCharTokenizer } from "../../dist/tokenizer/char.js";
import { presets } from "../../dist/train/presets.js";
import { createTrainer } from "../../dist/train/trainer.js";

const [textFile, configJson] = process.argv.slice(2);
const { batchSize, learningRate, threads, backend: name, ...shape } = JSON.parse(configJson);
const backend = await openBackend(name, { threads });
const text = readFileSync(textFile, "utf8");
const tokenizer = trainCharTokenizer(text);
const config = {
  model: { ...presets.book.model, ...shape, dropout: 0 },
  train: { ...presets.book.train, batchSize, learningRate },
};
const trainer = createTrainer(backend, config, tokenizer.vocabSize, tokenizer.encode(splitText(text).train));
console.log(JSON.stringify({ ...backend.capabilities, parameters: trainer.model.layout.count }));

let step = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const milliseconds = [];
  let loss = 0;
  for (let i = 0; i < Number(line); i++) {
    const began = performance.now();
    loss = (await trainer.step(step++)).loss;
    milliseconds.push(performance.now() - began);
  }
  console.log(JSON.stringify({ milliseconds, loss }));
}
trainer.close();
await backend.close();
