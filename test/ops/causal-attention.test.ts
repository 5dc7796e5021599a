import { expect, it, test } from "vitest";
import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { packedWidth, pageRows } from "#foretoken/backend/kernels/sizes.js";
import { epsilon } from "#foretoken/core/tensors/dtype.js";
import { type AttentionOptions, cachedCausalAttention, causalAttention } from "#foretoken/ops/causal-attention.js";
import { createSegments } from "#foretoken/ops/segments.js";
import { forEachBackend } from "../support/backends.ts";
import { hashUniform } from "../support/hash.ts";

const heads = { heads: 4, keyHeads: 2, headDim: 6 };
const width = packedWidth(heads);
const random = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => hashUniform("qkv", i) * 3);

const attended = (
  backend: Backend,
  qkv: Float32Array,
  time: number,
  options: AttentionOptions,
): Promise<Float32Array> =>
  withContext(inferenceContext(backend), async (context) => {
    const { memory } = context;
    const out = causalAttention(context, memory.upload(qkv, [1, time, width]), heads, options);
    return Float32Array.from(await readTensor(backend, out));
  });

/** Attention in double precision, computed from its definition. */
const expected = (qkv: Float32Array, time: number, window: number, scale: number): number[] => {
  const { heads: count, keyHeads, headDim } = heads;
  const at = (t: number, column: number): number => qkv[t * width + column] as number;
  return Array.from({ length: time * count }, (_, row) => {
    const [t, h] = [Math.floor(row / count), row % count];
    const key = (count + Math.floor((h * keyHeads) / count)) * headDim;
    const seen = Array.from({ length: Math.min(t + 1, window) }, (_, i) => t - i);
    const channels = Array.from({ length: headDim }, (_, c) => c);
    const weights = seen.map((j) =>
      Math.exp(channels.reduce((sum, c) => sum + scale * at(t, h * headDim + c) * at(j, key + c), 0)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return channels.map((c) =>
      seen.reduce((sum, j, i) => sum + ((weights[i] as number) / total) * at(j, key + keyHeads * headDim + c), 0),
    );
  }).flat();
};

forEachBackend("attention with a window", ({ open }) => {
  it.each([1, 2, 7, 32, 33, 64, 150])("sees the last %i positions", async (window) => {
    const backend = await open(2);
    const time = 150;
    const qkv = random(time * width);
    const out = await attended(backend, qkv, time, { window, scale: 0.3 });
    const want = expected(qkv, time, window, 0.3);
    // The sums have at most `time` products, or 6 products in a score. The values are below 3.
    const errors = Array.from(out, (value, i) => Math.abs(value - (want[i] as number)));
    expect(Math.max(...errors)).toBeLessThan(3 * (time + 20) * epsilon.float32);
    await backend.close();
  });

  it("has the bits of no window where it reaches all positions", async () => {
    const backend = await open(2);
    for (const time of [3, 33, 150]) {
      const qkv = random(time * width);
      const all = await attended(backend, qkv, time, {});
      for (const window of [time, time + 1, 2 ** 40]) {
        expect(await attended(backend, qkv, time, { window })).toEqual(all);
      }
      expect(await attended(backend, qkv, time, { window: null, scale: 1 / Math.sqrt(heads.headDim) })).toEqual(all);
      expect(await attended(backend, qkv, time, { window: time - 1 })).not.toEqual(all);
    }
    await backend.close();
  });

  it.each([1, 5, 32, 40, 100])(
    "has the same bits from a cache without the pages before it (window %i)",
    async (window) => {
      const backend = await open(2);
      const time = 170;
      const qkv = random(time * width);
      const whole = await attended(backend, qkv, time, { window });
      const rowOf = heads.heads * heads.headDim;
      await withContext(inferenceContext(backend), async (context) => {
        const { memory } = context;
        const pages = [2, 5, 1, 7, 3, 4];
        // The contents of page 0 must not matter.
        const contents = new Float32Array(8 * pageRows * 2 * heads.keyHeads * heads.headDim).fill(Number.NaN);
        const cache = { keysAndValues: memory.upload(contents, [8 * pageRows, 2 * heads.keyHeads * heads.headDim]) };
        let start = 0;
        for (const length of [1, 40, 3, 64, 1, 1, 33, 4, 23]) {
          const oldest = Math.max(0, start - window + 1);
          const kept = pages.map((page, i) => ((i + 1) * pageRows <= oldest ? 0 : page));
          const segments = createSegments(memory, [{ length, start, pages: kept }]);
          const part = memory.upload(qkv.slice(start * width, (start + length) * width), [1, length, width]);
          const out = cachedCausalAttention(context, part, heads, cache, segments, { window });
          const wanted = whole.slice(start * rowOf, (start + length) * rowOf);
          expect(Float32Array.from(await readTensor(backend, out)), `from ${start}`).toEqual(wanted);
          start += length;
        }
        expect(start).toBe(time);
      });
      await backend.close();
    },
  );
});

test("a window and a scale that cannot be are refused", async () => {
  const backend = await openReference();
  const qkv = random(2 * width);
  const call = (options: AttentionOptions) => attended(backend, qkv, 2, options);
  for (const window of [0, -1, 1.5, Number.NaN]) {
    await expect(call({ window })).rejects.toThrow(
      `causalAttention: window must be a whole number from 1, or null; got ${window}`,
    );
  }
  await expect(call({ window: 1, mask: "none" })).rejects.toThrow("mask must be causal if a window is given");
  await expect(call({ scale: Number.NaN })).rejects.toThrow("scale must be a finite number; got NaN");
});
