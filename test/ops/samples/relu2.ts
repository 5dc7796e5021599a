import { relu2 } from "#foretoken/ops/relu2.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, width: number): OpSample => ({
  name,
  inputs: { x: [rows, width] },
  run: (context, inputs) => relu2(context, sampleInput(inputs, "x")),
});

export const samples: readonly OpSample[] = [sample("odd sizes", 3, 5), sample("past one vector", 2, 19)];
