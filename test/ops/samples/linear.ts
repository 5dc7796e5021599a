import { linear, linearResidual } from "#foretoken/ops/linear.js";
import { type OpSample, sampleDropout, sampleInput } from "./sample.ts";

const sample = (name: string, m: number, n: number, k: number, withBias: boolean): OpSample => ({
  name,
  inputs: { x: [m, k], weight: [n, k], ...(withBias ? { bias: [n] } : {}) },
  run: (context, inputs) =>
    linear(context, sampleInput(inputs, "x"), {
      weight: sampleInput(inputs, "weight"),
      bias: withBias ? sampleInput(inputs, "bias") : null,
    }),
});

export const samples: readonly OpSample[] = [
  sample("one by one", 1, 1, 1, true),
  sample("odd sizes", 3, 5, 7, true),
  sample("no bias", 4, 2, 9, false),
  sample("past one vector", 17, 33, 19, true),
];

const residualSample = (name: string, p: number, withBias: boolean): OpSample => ({
  name,
  inputs: { x: [6, 5], weight: [7, 5], residual: [6, 7], ...(withBias ? { bias: [7] } : {}) },
  run: (context, inputs) =>
    linearResidual(
      { ...context, dropout: sampleDropout() },
      sampleInput(inputs, "x"),
      { weight: sampleInput(inputs, "weight"), bias: withBias ? sampleInput(inputs, "bias") : null },
      sampleInput(inputs, "residual"),
      p,
    ),
});

export const residualSamples: readonly OpSample[] = [
  residualSample("nothing dropped", 0, true),
  residualSample("a fifth dropped", 0.2, true),
  residualSample("half dropped, no bias", 0.5, false),
  {
    name: "onto its own input",
    inputs: { x: [3, 5], weight: [5, 5] },
    run: (context, inputs) => {
      const x = sampleInput(inputs, "x");
      return linearResidual(context, x, { weight: sampleInput(inputs, "weight"), bias: null }, x, 0);
    },
  },
];
