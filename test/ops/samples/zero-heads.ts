import { zeroHeads } from "#foretoken/ops/zero-heads.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (name: string, heads: number, headDim: number, off: readonly number[]): OpSample => ({
  name,
  inputs: { x: [2, 3, heads * headDim] },
  run: (context, inputs) => zeroHeads(context, sampleInput(inputs, "x"), { heads, headDim }, off),
});

export const samples: readonly OpSample[] = [
  sample("the last of two heads", 2, 3, [1]),
  sample("two of three heads", 3, 5, [2, 0]),
  sample("none", 2, 4, []),
];
