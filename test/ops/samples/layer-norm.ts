import { layerNorm } from "#foretoken/ops/layer-norm.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, channels: number, withBeta: boolean): OpSample => ({
  name,
  inputs: { x: [rows, channels], gamma: [channels], ...(withBeta ? { beta: [channels] } : {}) },
  run: (context, inputs) =>
    layerNorm(
      context,
      sampleInput(inputs, "x"),
      sampleInput(inputs, "gamma"),
      withBeta ? sampleInput(inputs, "beta") : null,
      1e-5,
    ),
});

export const samples: readonly OpSample[] = [
  sample("two channels", 3, 2, true),
  sample("odd sizes", 5, 7, true),
  sample("no offset", 2, 19, false),
  sample("past one vector", 9, 33, true),
];
