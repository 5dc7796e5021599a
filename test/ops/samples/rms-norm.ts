import { rmsNorm } from "#foretoken/ops/rms-norm.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, channels: number): OpSample => ({
  name,
  inputs: { x: [rows, channels], weight: [channels] },
  run: (context, inputs) => rmsNorm(context, sampleInput(inputs, "x"), sampleInput(inputs, "weight"), 1e-5),
});

export const samples: readonly OpSample[] = [
  sample("one channel", 3, 1),
  sample("odd sizes", 5, 7),
  sample("past one vector", 9, 33),
];
