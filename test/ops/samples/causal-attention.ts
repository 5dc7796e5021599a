import { dropoutSource } from "#foretoken/autograd/context.js";
import { randomKey } from "#foretoken/core/random.js";
import type { Shape } from "#foretoken/core/tensors/shape.js";
import { type AttentionMask, causalAttention, type Heads } from "#foretoken/ops/causal-attention.js";
import { createSegments, type Segment } from "#foretoken/ops/segments.js";
import { type OpSample, sampleInput } from "./sample.ts";

interface SampleShape extends Partial<Heads> {
  readonly b?: number;
  readonly t: number;
  readonly p?: number;
  readonly mask?: AttentionMask;
  readonly window?: number;
  readonly scale?: number;
  readonly segments?: readonly Segment[];
  /** Separate tensors for queries, keys and values. */
  readonly apart?: boolean;
}

const sample = (name: string, given: SampleShape): OpSample => {
  const {
    b = 1,
    t,
    heads = 1,
    keyHeads = heads,
    headDim = 3,
    p = 0,
    mask = "causal",
    segments,
    apart,
    window,
    scale,
  } = given;
  const shape = { heads, keyHeads, headDim };
  const of = (count: number): Shape => [b, t, count * headDim];
  return {
    name: mask === "causal" ? name : `${name}, no mask`,
    inputs:
      apart === true
        ? { queries: of(heads), keys: of(keyHeads), values: of(keyHeads) }
        : { qkv: of(heads + 2 * keyHeads) },
    run: (context, inputs) => {
      const dropped = { ...context, dropout: dropoutSource(randomKey(2, "dropout")) };
      const input =
        apart === true
          ? {
              queries: sampleInput(inputs, "queries"),
              keys: sampleInput(inputs, "keys"),
              values: sampleInput(inputs, "values"),
            }
          : sampleInput(inputs, "qkv");
      return causalAttention(dropped, input, shape, {
        dropoutP: p,
        mask,
        ...(window === undefined ? {} : { window }),
        ...(scale === undefined ? {} : { scale }),
        segments: segments === undefined ? null : createSegments(context.memory, segments),
      });
    },
  };
};

export const samples: readonly OpSample[] = [
  sample("one position", { t: 1, headDim: 2 }),
  sample("odd sizes", { b: 2, t: 5, heads: 3, headDim: 7 }),
  sample("dropout", { t: 6, heads: 2, headDim: 4, p: 0.3 }),
  sample("past one key block", { t: 70 }),
  sample("one position", { t: 1, headDim: 2, mask: "none" }),
  sample("odd sizes", { b: 2, t: 5, heads: 3, headDim: 7, mask: "none" }),
  sample("dropout", { t: 6, heads: 2, headDim: 4, p: 0.3, mask: "none" }),
  sample("grouped queries", { b: 2, t: 5, heads: 4, keyHeads: 2 }),
  sample("one head of keys, dropout", { t: 6, heads: 3, keyHeads: 1, headDim: 4, p: 0.3 }),
  sample("grouped queries", { b: 2, t: 5, heads: 4, keyHeads: 2, mask: "none" }),
  sample("tensors apart", { b: 2, t: 4, heads: 2, keyHeads: 1, apart: true }),
  sample("packed documents", { t: 9, heads: 2, segments: [{ length: 2 }, { length: 6 }, { length: 1 }] }),
  sample("packed documents, grouped queries, dropout", {
    ...{ t: 8, heads: 4, keyHeads: 2, p: 0.3 },
    segments: [{ length: 5 }, { length: 3 }],
  }),
  sample("window of one position", { t: 4, headDim: 2, window: 1 }),
  sample("window, grouped queries, dropout, scale", {
    ...{ b: 2, t: 7, heads: 4, keyHeads: 2, headDim: 4, p: 0.3, window: 3, scale: 0.8 },
  }),
  sample("window past one key block", { t: 70, window: 40 }),
  sample("packed documents with a window", {
    t: 9,
    window: 3,
    segments: [{ length: 2 }, { length: 6 }, { length: 1 }],
  }),
];
