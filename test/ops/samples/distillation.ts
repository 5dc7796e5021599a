import { distillation } from "#foretoken/ops/distillation.js";
import { hashUniform } from "../../support/hash.ts";
import { type OpSample, sampleInput } from "./sample.ts";

interface Case {
  readonly targets: readonly number[];
  readonly vocabSize: number;
  readonly k: number;
  /** Channels of each teacher. */
  readonly teachers: readonly number[];
  readonly weight: number;
  readonly temperature: number;
  readonly columns: number;
  readonly withBias?: boolean;
}

const random = (name: string, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => hashUniform(name, i) * 3);

const sample = (name: string, one: Case): OpSample => {
  const { targets, vocabSize, k, teachers, columns, withBias = false, ...mix } = one;
  const rows = targets.length;
  return {
    name,
    inputs: { x: [rows, k], weight: [vocabSize, k], ...(withBias ? { bias: [vocabSize] } : {}) },
    run: (context, inputs) => {
      const { memory } = context;
      const taught = teachers.map((channels, i) => ({
        context: { ...context, tape: null },
        hidden: memory.upload(random(`hidden ${i}`, rows * channels), [rows, channels]),
        head: {
          weight: memory.upload(random(`weight ${i}`, vocabSize * channels), [vocabSize, channels]),
          bias: null,
        },
      }));
      const weights = {
        weight: sampleInput(inputs, "weight"),
        bias: withBias ? sampleInput(inputs, "bias") : null,
      };
      const ids = memory.upload(Int32Array.from(targets), [rows]);
      return distillation(context, sampleInput(inputs, "x"), weights, ids, taught, mix, columns).total;
    },
  };
};

export const samples: readonly OpSample[] = [
  sample("one teacher, all at once", {
    targets: [0, 6, 3, 3],
    ...{ vocabSize: 7, k: 4, teachers: [3], weight: 0.5, temperature: 2, columns: 7 },
  }),
  sample("two teachers in ranges, an ignored row", {
    targets: [1, -1, 4],
    ...{ vocabSize: 5, k: 3, teachers: [3, 4], weight: 0.9, temperature: 1, columns: 2, withBias: true },
  }),
  sample("only the teachers, a vocabulary past one vector", {
    targets: [64, 0, 33],
    ...{ vocabSize: 65, k: 6, teachers: [5], weight: 1, temperature: 0.5, columns: 32 },
  }),
];
