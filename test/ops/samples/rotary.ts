import { packedWidth } from "#foretoken/backend/kernels/sizes.js";
import { rotary, rotaryAngles } from "#foretoken/ops/rotary.js";
import { createSegments, type Segment } from "#foretoken/ops/segments.js";
import { type OpSample, sampleInput } from "./sample.ts";

interface SampleShape {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly keyHeads?: number;
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly start?: number;
  readonly segments?: readonly Segment[];
  /** Default: each head has its own norm. */
  readonly width?: "head" | "all";
}

const sample = (name: string, given: SampleShape, withNorms: boolean): OpSample => {
  const { batch, time, heads, keyHeads = heads, headDim, rotaryDim = headDim, start = 0, segments } = given;
  const { width = "head" } = given;
  const shape = { heads, keyHeads, headDim };
  const [queries, keys] = [heads, keyHeads].map((count) => (width === "all" ? count : 1) * headDim);
  return {
    name,
    inputs: {
      qkv: [batch, time, packedWidth(shape)],
      ...(withNorms ? { query: [queries as number], key: [keys as number] } : {}),
    },
    run: (context, inputs) => {
      const { memory } = context;
      const positions = start + time + 1;
      const tableShape = [positions, rotaryDim / 2];
      const { cos, sin } = rotaryAngles(positions, rotaryDim, 100);
      const table =
        rotaryDim === 0 ? null : { cos: memory.upload(cos, tableShape), sin: memory.upload(sin, tableShape) };
      const norms = withNorms
        ? { query: sampleInput(inputs, "query"), key: sampleInput(inputs, "key"), eps: 1e-5, width }
        : null;
      const rows = segments ?? Array.from({ length: batch }, () => ({ length: time, start }));
      const places = segments === undefined && start === 0 ? null : createSegments(memory, rows);
      return rotary(context, sampleInput(inputs, "qkv"), shape, table, places, norms);
    },
  };
};

const wide = { batch: 1, time: 3, heads: 2, keyHeads: 1, headDim: 6 };

export const samples: readonly OpSample[] = [
  sample("one pair", { batch: 1, time: 2, heads: 1, headDim: 2 }, false),
  sample("one pair, normed", { batch: 2, time: 2, heads: 1, headDim: 2, start: 1 }, true),
  sample("odd half", { batch: 2, time: 3, heads: 2, headDim: 6, start: 4 }, true),
  sample("past one vector", { batch: 1, time: 2, heads: 1, headDim: 34 }, true),
  sample("past one vector, no norms", { batch: 2, time: 2, heads: 1, headDim: 34, start: 3 }, false),
  sample("grouped queries", { batch: 2, time: 2, heads: 4, keyHeads: 2, headDim: 4, start: 2 }, true),
  sample("a part of a head", { batch: 1, time: 3, heads: 2, headDim: 8, rotaryDim: 4 }, false),
  sample("a part of a head, normed", { batch: 1, time: 3, heads: 2, keyHeads: 1, headDim: 8, rotaryDim: 2 }, true),
  sample(
    "one norm for all heads",
    { batch: 2, time: 2, heads: 4, keyHeads: 2, headDim: 4, start: 2, width: "all" },
    true,
  ),
  sample("one norm for all heads, of which a part is rotated", { ...wide, rotaryDim: 2, width: "all" }, true),
  sample("norms without a rotation", { ...wide, rotaryDim: 0 }, true),
  sample("segments", { batch: 1, time: 5, heads: 1, headDim: 4, segments: [{ length: 3 }, { length: 2 }] }, true),
];
