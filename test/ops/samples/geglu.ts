import { geglu } from "#foretoken/ops/geglu.js";
import type { GeluApproximation } from "#foretoken/ops/gelu.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, hidden: number, approximate: GeluApproximation): OpSample => ({
  name,
  inputs: { x: [rows, 2 * hidden] },
  run: (context, inputs) => geglu(context, sampleInput(inputs, "x"), approximate),
});

export const samples: readonly OpSample[] = [
  sample("one element", 1, 1, "none"),
  sample("odd sizes", 3, 5, "none"),
  sample("odd sizes, tanh", 3, 5, "tanh"),
  sample("past one vector, tanh", 2, 19, "tanh"),
];
