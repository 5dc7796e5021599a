import { add } from "#foretoken/ops/add.js";
import { type OpSample, sampleInput } from "./sample.ts";

export const samples: readonly OpSample[] = [
  {
    name: "two tensors",
    inputs: { a: [3, 7], b: [3, 7] },
    run: (context, inputs) => add(context, sampleInput(inputs, "a"), sampleInput(inputs, "b")),
  },
  {
    name: "one tensor with itself, twice",
    inputs: { a: [19] },
    run: (context, inputs) => {
      const a = sampleInput(inputs, "a");
      return add(context, add(context, a, a), a);
    },
  },
];
