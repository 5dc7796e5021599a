/**
 * The Foretoken process of bench/train.mjs. On request, it trains, and answers with the times of the steps. A step does
 * the same work as a step of `foretoken train`: batch, forward, backward, gradient norm, update, and reading the loss.
 * Usage: foretoken_train.mjs TOKENS JSON
 * TOKENS is a file of int32. JSON: {"config": {"model", "train"}, "vocabSize", "threads", "backend", "dtype"}
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { openBackend } from "../../dist/backend/select.node.js";
import { createTrainer } from "../../dist/trainer/trainer.js";
import { peakMemory } from "../lib/peak-memory.mjs";

const [tokensFile, json] = process.argv.slice(2);
const { config, vocabSize, threads, backend: name, dtype } = JSON.parse(json);
const bytes = readFileSync(tokensFile);
const tokens = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const backend = await openBackend(name, { threads, dtype, manyRows: true });
const trainer = createTrainer(backend, config, vocabSize, tokens);
console.log(JSON.stringify({ ...backend.capabilities, parameters: trainer.model.layout.count }));

let step = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { steps } = JSON.parse(line);
  const milliseconds = [];
  const losses = [];
  for (let i = 0; i < steps; i++) {
    const began = performance.now();
    const { loss } = await trainer.step(step++);
    milliseconds.push(performance.now() - began);
    losses.push(loss);
  }
  console.log(JSON.stringify({ milliseconds, losses, peakMemory: peakMemory() }));
}
trainer.close();
await backend.close();
