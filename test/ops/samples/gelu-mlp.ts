import type { GeluApproximation } from "#foretoken/ops/gelu.js";
import { geluMlp } from "#foretoken/ops/gelu-mlp.js";
import type { LinearWeights } from "#foretoken/ops/linear.js";
import { type OpSample, sampleDropout, sampleInput } from "./sample.ts";

const sample = (name: string, approximate: GeluApproximation, withBias: boolean, p: number): OpSample => ({
  name,
  inputs: {
    x: [3, 5],
    up: [9, 5],
    down: [5, 9],
    residual: [3, 5],
    ...(withBias ? { upBias: [9], downBias: [5] } : {}),
  },
  run: (context, inputs) => {
    const weights = (weight: string, bias: string): LinearWeights => ({
      weight: sampleInput(inputs, weight),
      bias: withBias ? sampleInput(inputs, bias) : null,
    });
    return geluMlp(
      { ...context, dropout: sampleDropout() },
      sampleInput(inputs, "x"),
      { up: weights("up", "upBias"), down: weights("down", "downBias"), approximate },
      sampleInput(inputs, "residual"),
      p,
    );
  },
});

export const samples: readonly OpSample[] = [
  sample("exact", "none", true, 0),
  sample("tanh, no bias", "tanh", false, 0),
  sample("a fifth dropped", "none", true, 0.2),
];
