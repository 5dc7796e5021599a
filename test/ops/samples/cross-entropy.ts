import { crossEntropy } from "#foretoken/ops/cross-entropy.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, targets: readonly number[], vocabSize: number): OpSample => ({
  name,
  inputs: { logits: [targets.length, vocabSize] },
  run: (context, inputs) =>
    crossEntropy(
      context,
      sampleInput(inputs, "logits"),
      context.memory.upload(Int32Array.from(targets), [targets.length]),
    ),
});

export const samples: readonly OpSample[] = [
  sample("two tokens", [1], 2),
  sample("odd sizes", [0, 6, 3, 3, 5], 7),
  sample("an ignored row", [4, -1, 0], 19),
  sample("past one vector", [64, 0, 31], 65),
];
