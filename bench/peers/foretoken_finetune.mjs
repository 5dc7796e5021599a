/**
 * The Foretoken process of bench/fine-tune.mjs. On request, it fine-tunes all weights of a model, or low-rank adapters.
 * The process answers with the times of the steps. A step does the same work as a step of `foretoken train
 * --init-from`. Usage: foretoken_finetune.mjs TOKENS JSON TOKENS is a file of int32. A step uses n = batchSize ×
 * contextLength tokens; step k begins at token k × n. JSON: {"model", "train", "contextLength", "threads", "dtype",
 * "lora", "profile"}; model: a directory, or a GGUF file (its matrices stay in blocks of 4 to 8 bits if adapters are
 * trained); lora: null, or rank and alpha
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { profiled } from "../../dist/backend/observers/profiled.js";
import { openBackend } from "../../dist/backend/select.node.js";
import { modelLayout } from "../../dist/models/model.js";
import { readInto } from "../../dist/pretrained/files/weights.js";
import { openPretrained } from "../../dist/pretrained/open.node.js";
import { trainerOn } from "../../dist/trainer/trainer.js";
import { peakMemory } from "../lib/peak-memory.mjs";

const [tokensFile, json] = process.argv.slice(2);
const { model: path, train, contextLength, threads, dtype, lora, profile } = JSON.parse(json);
const bytes = readFileSync(tokensFile);
const tokens = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const opened = await openBackend("native", { threads, dtype, manyRows: true });
const backend = profile === true ? profiled(opened) : opened;

const { config: model, vocabSize, weights } = await openPretrained(path);
const config = {
  model: { ...model, contextLength },
  train,
  ...(lora === null ? {} : { lora: { dropout: 0, ...lora } }),
};
const rows = train.batchSize;
const windows = (step) => {
  const at = step * rows * contextLength;
  return [
    {
      x: tokens.slice(at, at + rows * contextLength),
      y: tokens.slice(at + 1, at + 1 + rows * contextLength),
      rows,
      time: contextLength,
    },
  ];
};
const perStep = train.batchSize * contextLength;
/** @type {import("../../dist/trainer/passes.js").PassSource} */
const source = {
  passes: windows,
  sizeOf: () => ({ tokens: perStep, targets: perStep }),
  kind: "windows",
  perMicroBatch: 1,
};
const inBlocks = lora === null ? [] : (weights.blockRows?.(modelLayout(config.model, vocabSize)) ?? []);
const trainer = trainerOn(backend, config, vocabSize, source, undefined, undefined, inBlocks);
if (lora !== null) trainer.restore(null);
await readInto(trainer.base ?? trainer.model, weights);
await weights.close();
const parameters = (trainer.model.adapter ?? trainer.model).layout.count;
console.log(JSON.stringify({ ...backend.capabilities, parameters }));

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
  const kernels = "profile" in backend && typeof backend.profile === "function" ? { kernels: backend.profile() } : {};
  console.log(JSON.stringify({ milliseconds, losses, peakMemory: peakMemory(), ...kernels }));
}
trainer.close();
await backend.close();
