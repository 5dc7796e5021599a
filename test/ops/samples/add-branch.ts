import { dropoutSource } from "#foretoken/autograd/context.js";
import { randomKey } from "#foretoken/core/random.js";
import { addBranch } from "#foretoken/ops/add-branch.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, rows: number, width: number, p: number): OpSample => ({
  name,
  inputs: { x: [rows, width], residual: [rows, width] },
  run: (given, inputs) => {
    const context = { ...given, dropout: dropoutSource(randomKey(5, "dropout")) };
    return addBranch(context, sampleInput(inputs, "x"), sampleInput(inputs, "residual"), p);
  },
});

export const samples: readonly OpSample[] = [sample("odd sizes", 3, 5, 0), sample("with dropout", 4, 9, 0.3)];
