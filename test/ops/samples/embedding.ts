import { embedding } from "#foretoken/ops/embedding.js";
import { createSegments, type Segment } from "#foretoken/ops/segments.js";
import { type OpSample, sampleInput } from "./sample.ts";

const sample = (
  name: string,
  ids: readonly (readonly number[])[],
  v: number,
  c: number,
  p: number,
  segments: readonly Segment[] | null,
  scale?: number,
) => {
  const time = ids[0]?.length ?? 0;
  return {
    name,
    inputs: { tokens: [v, c], ...(p > 0 ? { positions: [p, c] } : {}) },
    run: (context, inputs) =>
      embedding(
        context,
        context.memory.upload(Int32Array.from(ids.flat()), [ids.length, time]),
        sampleInput(inputs, "tokens"),
        p > 0 ? sampleInput(inputs, "positions") : null,
        { segments: segments === null ? null : createSegments(context.memory, segments), scale },
      ),
  } satisfies OpSample;
};

export const samples: readonly OpSample[] = [
  sample("one token", [[2]], 3, 4, 2, null),
  sample("repeated tokens", [[0, 1, 1], [4, 0, 1]], 5, 3, 3, null), // biome-ignore format: a batch reads best on one line
  sample("no positions", [[1, 1, 0, 2]], 3, 17, 0, null),
  sample("later start", [[3, 0]], 4, 5, 7, [{ length: 2, start: 5 }]),
  sample("scaled, beside positions", [[0, 1, 1], [4, 0, 1]], 5, 3, 3, null, 2.5), // biome-ignore format: a batch reads best on one line
  sample("segments", [[3, 0, 1, 3]], 4, 5, 4, [{ length: 1 }, { length: 3 }]),
];
