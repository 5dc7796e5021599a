import { swiglu } from "#foretoken/ops/swiglu.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, hidden: number): OpSample => ({
  name,
  inputs: { x: [rows, 2 * hidden] },
  run: (context, inputs) => swiglu(context, sampleInput(inputs, "x")),
});

export const samples: readonly OpSample[] = [
  sample("one element", 1, 1),
  sample("odd sizes", 3, 5),
  sample("past one vector", 2, 19),
];
