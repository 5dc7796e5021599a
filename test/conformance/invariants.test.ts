import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend, View } from "#foretoken/backend/backend.js";
import { rotaryAngles } from "#foretoken/ops/rotary.js";
import { type ActivationDType, candidates } from "./candidates.ts";
import { noise } from "./sample.ts";

const { normals } = noise(5);

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

/**
 * Kernels must give correct results. Kernels also guarantee that the bits of a row do not depend on other parts of the
 * call. The tests here check this guarantee.
 */
const invariants = (open: () => Promise<Backend>, activations: ActivationDType): void => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.close());

  const given = (values: ArrayLike<number>, dtype: ActivationDType = "float32"): View => {
    const storage = backend.alloc(dtype, values.length);
    backend.write(storage, Float32Array.from(values));
    return { storage, offset: 0 };
  };
  const room = (length: number, dtype: ActivationDType = "float32"): View => ({
    storage: backend.alloc(dtype, length),
    offset: 0,
  });
  const bits = async ({ storage, offset }: View, length: number): Promise<Uint32Array> =>
    bitsOf((await backend.read(storage, offset, length)) as Float32Array);

  test.for([
    { n: 65, k: 128 },
    { n: 33, k: 17 },
    { n: 512, k: 300 },
    { n: 1, k: 5 },
  ])("a row of linearForward has the same bits among 37 as alone (n=$n k=$k)", async ({ n, k }) => {
    const m = 37;
    const x = given(normals(m * k), activations);
    const w = given(normals(n * k));
    const bias = given(normals(n));
    const all = room(m * n, activations);
    backend.run("linearForward", { x, w, bias, addend: null, y: all, m, n, k });
    for (const rows of [1, 2, 5]) {
      for (const row of [0, 1, 7, 16, 31, m - rows]) {
        const alone = room(rows * n, activations);
        backend.run("linearForward", { x: { ...x, offset: row * k }, w, bias, addend: null, y: alone, m: rows, n, k });
        const inAll = await bits({ ...all, offset: row * n }, rows * n);
        expect(await bits(alone, rows * n), `rows ${row} to ${row + rows}`).toEqual(inAll);
      }
    }
  });

  test.for([1, 17, 64, 129])(
    "a row of layerNormForward has the same bits among 37 as alone (C=%i)",
    async (channels) => {
      const rows = 37;
      const shared = { gamma: given(normals(channels)), beta: given(normals(channels)), channels, eps: 1e-5 };
      const x = given(normals(rows * channels));
      const all = { y: room(rows * channels, activations), mean: room(rows), rstd: room(rows) };
      backend.run("layerNormForward", { x, ...all, ...shared, rows });
      for (const row of [0, 1, 16, 36]) {
        const alone = { y: room(channels, activations), mean: room(1), rstd: room(1) };
        backend.run("layerNormForward", { x: { ...x, offset: row * channels }, ...alone, ...shared, rows: 1 });
        expect(await bits(alone.y, channels)).toEqual(await bits({ ...all.y, offset: row * channels }, channels));
        expect(await bits(alone.mean, 1)).toEqual(await bits({ ...all.mean, offset: row }, 1));
        expect(await bits(alone.rstd, 1)).toEqual(await bits({ ...all.rstd, offset: row }, 1));
      }
    },
  );

  test.for([1, 17, 64, 129])("a row of rmsNormForward has the same bits among 37 as alone (C=%i)", async (channels) => {
    const rows = 37;
    const shared = { gamma: given(normals(channels)), channels, eps: 1e-5 };
    const x = given(normals(rows * channels));
    const all = { y: room(rows * channels, activations), rstd: room(rows) };
    backend.run("rmsNormForward", { x, ...all, ...shared, rows });
    for (const row of [0, 1, 16, 36]) {
      const alone = { y: room(channels, activations), rstd: room(1) };
      backend.run("rmsNormForward", { x: { ...x, offset: row * channels }, ...alone, ...shared, rows: 1 });
      expect(await bits(alone.y, channels)).toEqual(await bits({ ...all.y, offset: row * channels }, channels));
      expect(await bits(alone.rstd, 1)).toEqual(await bits({ ...all.rstd, offset: row }, 1));
    }
  });

  test.for([
    { time: 37, heads: 1, headDim: 2, normed: true },
    { time: 70, heads: 3, headDim: 30, normed: true },
    { time: 129, heads: 4, headDim: 32, normed: true },
    { time: 129, heads: 4, headDim: 32, normed: false },
    { time: 70, heads: 3, headDim: 30, normed: true, together: 1 },
  ])(
    "rotary embedding gives a position the same bits alone as in its sequence (T=$time H=$heads D=$headDim)",
    async ({ time, heads, headDim, normed, together = 0 }) => {
      const stride = 3 * heads * headDim;
      const { cos, sin } = rotaryAngles(time, headDim, 10_000);
      const shared = {
        ...{ keyHeads: heads, rotaryDim: headDim, tableRows: time, places: null, together },
        gammaQ: normed ? given(normals(heads * headDim)) : null,
        gammaK: normed ? given(normals(heads * headDim)) : null,
        cos: given(cos),
        sin: given(sin),
        heads,
        headDim,
        eps: 1e-6,
      };
      const x = given(normals(2 * time * stride));
      const all = { y: room(2 * time * stride, activations), rstd: room(4 * time * heads) };
      backend.run("rotaryForward", { x, ...all, ...shared, rows: 2 * time, time, start: 0 });
      for (const start of [0, 1, 16, 35]) {
        for (const rows of [1, time - start]) {
          const some = { y: room(rows * stride, activations), rstd: room(2 * rows * heads) };
          const from = time + start;
          const part = { ...x, offset: from * stride };
          backend.run("rotaryForward", { x: part, ...some, ...shared, rows, time: rows, start });
          const inAll = await bits({ ...all.y, offset: from * stride }, rows * stride);
          expect(await bits(some.y, rows * stride), `${rows} from ${start}`).toEqual(inAll);
        }
      }
    },
  );

  test.for([1, 17, 344])("a row of swigluForward has the same bits among 37 as alone (F=%i)", async (hidden) => {
    const rows = 37;
    const x = given(normals(2 * rows * hidden));
    const all = room(rows * hidden, activations);
    backend.run("swigluForward", { x, y: all, rows, hidden });
    for (const row of [0, 1, 16, 36]) {
      const alone = room(hidden, activations);
      backend.run("swigluForward", { x: { ...x, offset: 2 * row * hidden }, y: alone, rows: 1, hidden });
      expect(await bits(alone, hidden)).toEqual(await bits({ ...all, offset: row * hidden }, hidden));
    }
  });

  test.for([
    [17, 0],
    [344, 1],
  ] as const)("a row of gegluForward has the same bits among 37 as alone (F=%i, form %i)", async ([hidden, tanh]) => {
    const rows = 37;
    const x = given(normals(2 * rows * hidden));
    const all = room(rows * hidden, activations);
    backend.run("gegluForward", { x, y: all, rows, hidden, tanh });
    for (const row of [0, 16, 36]) {
      const alone = room(hidden, activations);
      backend.run("gegluForward", { x: { ...x, offset: 2 * row * hidden }, y: alone, rows: 1, hidden, tanh });
      expect(await bits(alone, hidden)).toEqual(await bits({ ...all, offset: row * hidden }, hidden));
    }
  });

  const undropped = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0 };

  test.for([
    { time: 70, heads: 2, headDim: 16, window: 0 },
    { time: 131, heads: 1, headDim: 33, window: 0 },
    { time: 300, heads: 2, headDim: 32, window: 0 },
    { time: 70, heads: 2, headDim: 16, window: 1 },
    { time: 131, heads: 1, headDim: 33, window: 14 },
    { time: 300, heads: 2, headDim: 32, window: 101 },
  ])(
    "a query's bits do not depend on those beside it (T=$time H=$heads D=$headDim window=$window)",
    async ({ time, heads, headDim, window }) => {
      const width = heads * headDim;
      const stride = 3 * width;
      const qkv = given(normals(time * stride), activations);
      const part = (index: number, row = 0): View => ({ ...qkv, offset: index * width + row * stride });
      const shape = {
        batch: 1,
        heads,
        keyHeads: heads,
        headDim,
        rows: 0,
        keyRows: 0,
        causal: 1,
        window,
        scale: 1 / Math.sqrt(headDim),
        ...undropped,
      };
      const strides = { queryStride: stride, queryBatchStride: 0, keyStride: stride, keyBatchStride: 0 };
      const call = (start: number, queries: number): { out: View; logSumExp: View } => {
        const results = { out: room(queries * width, activations), logSumExp: room(heads * queries) };
        const inputs = { q: part(0, start), k: part(1), v: part(2) };
        const sizes = { ...shape, ...strides, queries, start };
        backend.run("attentionForward", {
          ...inputs,
          ...results,
          kept: null,
          segments: null,
          pages: null,
          pageCount: 0,
          ...sizes,
        });
        return results;
      };
      const all = call(0, time);
      const expectSame = async (start: number, queries: number): Promise<void> => {
        const some = call(start, queries);
        const message = `queries ${start} to ${start + queries}`;
        const inAll = await bits({ ...all.out, offset: start * width }, queries * width);
        expect(await bits(some.out, queries * width), message).toEqual(inAll);
        for (let h = 0; h < heads; h++) {
          const ofHead = await bits({ ...all.logSumExp, offset: h * time + start }, queries);
          expect(await bits({ ...some.logSumExp, offset: h * queries }, queries), message).toEqual(ofHead);
        }
      };
      for (const start of [0, 1, 15, 16, 31, 33, 63, 64, 65, time - 1]) await expectSame(start, 1);
      for (const start of [0, 5, 32, 47]) await expectSame(start, 17);
      await expectSame(3, time - 3);
    },
  );

  const asInt = (values: ArrayLike<number>): View => {
    const storage = backend.alloc("int32", values.length);
    backend.write(storage, Int32Array.from(values));
    return { storage, offset: 0 };
  };

  test.for([
    {
      heads: 2,
      keyHeads: 2,
      headDim: 16,
      lengths: [
        [1, 40],
        [130, 0],
        [3, 7],
        [1, 300],
      ],
    },
    {
      heads: 4,
      keyHeads: 1,
      headDim: 33,
      lengths: [
        [33, 0],
        [2, 126],
        [70, 64],
      ],
    },
    {
      heads: 4,
      keyHeads: 2,
      headDim: 32,
      lengths: [
        [1, 0],
        [1, 129],
        [4, 31],
      ],
    },
  ])(
    "a segment has the same bits as its sequence alone, and a head as with keys of its own (H=$heads Hk=$keyHeads)",
    async ({ heads, keyHeads, headDim, lengths }) => {
      const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
      const sum = (of: (length: number[]) => number): number => lengths.reduce((total, one) => total + of(one), 0);
      const rows = sum(([queries = 0]) => queries);
      const keyRows = sum(([queries = 0, start = 0]) => queries + start);
      const q = given(normals(rows * width), activations);
      const k = given(normals(keyRows * keyWidth), activations);
      const v = given(normals(keyRows * keyWidth), activations);
      const all = { out: room(rows * width, activations), logSumExp: room(heads * rows) };
      const table: number[] = [];
      let [row, keyRow] = [0, 0];
      for (const [queries = 0, start = 0] of lengths) {
        table.push(row, queries, keyRow, start);
        row += queries;
        keyRow += queries + start;
      }
      const shape = {
        heads,
        keyHeads,
        headDim,
        scale: 0.25,
        causal: 1,
        window: 0,
        ...undropped,
        kept: null,
        pages: null,
        pageCount: 0,
      };
      const strides = { queryStride: width, queryBatchStride: 0, keyStride: keyWidth, keyBatchStride: 0 };
      const longest = Math.max(...lengths.map(([queries = 0]) => queries));
      const batch = { batch: lengths.length, queries: longest, start: 0, rows, keyRows, segments: asInt(table) };
      backend.run("attentionForward", { q, k, v, ...all, ...shape, ...strides, ...batch });
      for (const [i, [queries = 0, start = 0]] of lengths.entries()) {
        const [row = 0, , keyRow = 0] = table.slice(4 * i, 4 * i + 4);
        for (let h = 0; h < heads; h++) {
          const shared = Math.floor((h * keyHeads) / heads) * headDim + keyRow * keyWidth;
          const alone = { out: room(queries * headDim, activations), logSumExp: room(queries) };
          const views = {
            q: { ...q, offset: row * width + h * headDim },
            k: { ...k, offset: shared },
            v: { ...v, offset: shared },
          };
          const one = { batch: 1, queries, start, heads: 1, keyHeads: 1, rows: 0, keyRows: 0, segments: null };
          backend.run("attentionForward", { ...views, ...alone, ...shape, ...strides, ...one });
          for (let t = 0; t < queries; t++) {
            const there = await bits({ ...all.out, offset: (row + t) * width + h * headDim }, headDim);
            const here = await bits({ ...alone.out, offset: t * headDim }, headDim);
            expect(here, `segment ${i}, head ${h}, query ${t}`).toEqual(there);
          }
          const stats = await bits({ ...all.logSumExp, offset: h * rows + row }, queries);
          expect(await bits(alone.logSumExp, queries)).toEqual(stats);
        }
      }
    },
  );

  /** Computes attention of [2, 67] positions on an array that contains q | k | v side by side. */
  const attentionOf = (window: number) => {
    const [batch, time, heads, headDim] = [2, 67, 2, 16];
    const width = heads * headDim;
    const stride = 3 * width;
    const forward = async (array: Float64Array): Promise<Uint32Array> => {
      const qkv = given(array, activations);
      const out = room(batch * time * width, activations);
      backend.run("attentionForward", {
        ...{ q: qkv, k: { ...qkv, offset: width }, v: { ...qkv, offset: 2 * width } },
        ...{ out, logSumExp: room(batch * heads * time), kept: null, segments: null, pages: null, pageCount: 0 },
        ...{ batch, queries: time, start: 0, heads, keyHeads: heads, headDim, rows: 0, keyRows: 0 },
        ...{ scale: 0.25, ...undropped, key0: 5, p: 0.2, causal: 1, window },
        ...{ queryStride: stride, queryBatchStride: time * stride, keyStride: stride, keyBatchStride: time * stride },
      });
      return bits(out, batch * time * width);
    };
    /** A copy with the value `poison` in the keys and values of positions [from, to). */
    const spoiled = (values: Float64Array, poison: number, from: number, to: number): Float64Array => {
      const copy = values.slice();
      for (let b = 0; b < batch; b++)
        for (let t = from; t < to; t++) copy.fill(poison, (b * time + t) * stride + width, (b * time + t + 1) * stride);
      return copy;
    };
    /** Positions [from, to) of both sequences. */
    const rowsOf = (out: Uint32Array, from: number, to: number): Uint32Array[] =>
      Array.from({ length: batch }, (_, b) => out.slice((b * time + from) * width, (b * time + to) * width));
    return { time, values: normals(batch * time * stride), forward, spoiled, rowsOf };
  };
  const poisons = [Number.NaN, Number.POSITIVE_INFINITY];

  test.for([0, 5])(
    "keys and values after a query do not touch it, be they NaN or infinite (window %i)",
    async (window) => {
      const { time, values, forward, spoiled, rowsOf } = attentionOf(window);
      const clean = await forward(values);
      for (const poison of poisons) {
        for (const changed of [1, 15, 16, 17, 32, 64, 66]) {
          const after = await forward(spoiled(values, poison, changed, time));
          expect(rowsOf(after, 0, changed), `key ${changed} = ${poison}`).toEqual(rowsOf(clean, 0, changed));
        }
      }
    },
  );

  test.for([1, 6, 33])("nor do those before its window of %i", async (window) => {
    const { time, values, forward, spoiled, rowsOf } = attentionOf(window);
    const clean = await forward(values);
    for (const poison of poisons) {
      for (const changed of [1, 2, 16, 17, 31]) {
        const from = changed + window - 1;
        const after = await forward(spoiled(values, poison, 0, changed));
        expect(rowsOf(after, from, time), `${changed} keys = ${poison}`).toEqual(rowsOf(clean, from, time));
        expect(rowsOf(after, from - 1, from)).not.toEqual(rowsOf(clean, from - 1, from));
      }
    }
  });

  test("a window that reaches all keys has the bits of none", async () => {
    const all = attentionOf(0);
    const clean = await all.forward(all.values);
    for (const window of [all.time, all.time + 1, 2 ** 31 - 1])
      expect(await attentionOf(window).forward(all.values), `window ${window}`).toEqual(clean);
    expect(await attentionOf(all.time - 1).forward(all.values)).not.toEqual(clean);
  });
};

for (const candidate of candidates) {
  if (candidate.kind === "missing") test.skip(`${candidate.name}: ${candidate.reason}`);
  else
    describe(candidate.name, () =>
      invariants(() => candidate.open(Math.max(...candidate.threads)), candidate.activations),
    );
}
