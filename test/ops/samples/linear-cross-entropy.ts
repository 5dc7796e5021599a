import { linearCrossEntropy } from "#foretoken/ops/linear-cross-entropy.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (
  name: string,
  targets: readonly number[],
  [vocabSize, k]: readonly [number, number],
  columns: number,
  withBias = false,
): OpSample => ({
  name,
  inputs: { x: [targets.length, k], weight: [vocabSize, k], ...(withBias ? { bias: [vocabSize] } : {}) },
  run: (context, inputs) =>
    linearCrossEntropy(
      context,
      sampleInput(inputs, "x"),
      { weight: sampleInput(inputs, "weight"), bias: withBias ? sampleInput(inputs, "bias") : null },
      context.memory.upload(Int32Array.from(targets), [targets.length]),
      columns,
    ),
});

export const samples: readonly OpSample[] = [
  sample("all at once", [0, 6, 3, 3, 5], [7, 4], 7),
  sample("two ranges", [1, 0, 2], [3, 5], 2),
  sample("a token at a time, an ignored row", [0, -1, 4, 2], [5, 3], 1, true),
  sample("ranges past one vector", [64, 0, 31, 32], [65, 18], 32, true),
];
