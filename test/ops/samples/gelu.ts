import { type GeluApproximation, gelu } from "#foretoken/ops/gelu.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, size: number, approximate: GeluApproximation): OpSample => ({
  name,
  inputs: { x: [size] },
  run: (context, inputs) => gelu(context, sampleInput(inputs, "x"), approximate),
});

export const samples: readonly OpSample[] = [
  sample("one element", 1, "none"),
  sample("past one vector", 37, "none"),
  sample("tanh", 37, "tanh"),
];
