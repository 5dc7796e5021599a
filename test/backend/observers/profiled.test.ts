import { describe, expect, it, test } from "vitest";
import type { Storage, View } from "#foretoken/backend/backend.js";
import { kernelCost } from "#foretoken/backend/calls/cost.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { openCounting } from "#foretoken/backend/observers/counting.js";
import { profiled } from "#foretoken/backend/observers/profiled.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { createTrainer, undrawnTrainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../../support/backends.ts";
import { checkpointHashes, collect, ofType, smallRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

const view = (length: number, dtype: Storage["dtype"] = "float32"): View => ({ storage: { dtype, length }, offset: 0 });
const key = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0 };

describe("the cost of a call", () => {
  test("a product is two operations a weight and row; its bytes are those of the buffers that are given", () => {
    const args = { x: view(6), w: view(12), bias: view(4), addend: null, y: view(8), m: 2, n: 4, k: 3 };
    expect(kernelCost("linearForward", args)).toEqual({ flops: 2 * 2 * 4 * 3, read: 4 * (6 + 12 + 4), written: 4 * 8 });
    expect(kernelCost("linearForward", { ...args, bias: null }).read).toBe(4 * (6 + 12));
  });

  test("what is added to counts as read and as written, and elements as large as they are", () => {
    const args = { dy: view(8), x: view(6), dw: view(12), dBias: null, m: 2, n: 4, k: 3 };
    const adding = kernelCost("linearBackwardWeight", { ...args, add: 1 });
    expect(adding).toMatchObject({ read: 4 * (8 + 6 + 12), written: 4 * 12 });
    const writing = kernelCost("linearBackwardWeight", { ...args, add: 0 });
    expect(writing).toMatchObject({ read: 4 * (8 + 6), written: 4 * 12 });
    expect(kernelCost("sum", { x: view(5, "float64"), y: view(1, "float64"), n: 5 })).toMatchObject({
      read: 8 * 5,
      written: 8,
    });
  });

  test("attention multiplies what is seen alone, and reads its parts of a packed array alone", () => {
    const [batch, queries, heads, headDim] = [2, 5, 3, 4];
    const width = heads * headDim;
    const packed = view(batch * queries * 3 * width);
    const strides = {
      queryStride: 3 * width,
      queryBatchStride: queries * 3 * width,
      keyStride: 3 * width,
      keyBatchStride: queries * 3 * width,
    };
    const sizes = {
      batch,
      queries,
      start: 0,
      heads,
      keyHeads: heads,
      headDim,
      rows: 0,
      keyRows: 0,
      window: 0,
      ...strides,
      ...key,
      scale: 1,
      p: 0,
    };
    const results = {
      out: view(batch * queries * width),
      logSumExp: view(30),
      kept: null,
      segments: null,
      pages: null,
      pageCount: 0,
    };
    const parts = { q: packed, k: packed, v: packed, ...results };
    let pairs = 0;
    for (let query = 0; query < queries; query++) for (let seen = 0; seen <= query; seen++) pairs += batch * heads;
    const causal = kernelCost("attentionForward", { ...parts, ...sizes, causal: 1 });
    expect(causal.flops).toBe(4 * pairs * headDim);
    const values = batch * queries * width;
    expect(causal).toMatchObject({ read: 4 * 3 * values, written: 4 * (values + batch * heads * queries) });
    const everything = kernelCost("attentionForward", { ...parts, ...sizes, causal: 0 });
    expect(everything.flops).toBe(4 * batch * heads * queries * queries * headDim);
    const gradients = { dOut: view(120), dq: packed, dk: packed, dv: packed };
    const back = kernelCost("attentionBackward", { ...parts, ...gradients, ...sizes, causal: 1 });
    expect(back.flops).toBe(2.5 * causal.flops);
    expect(back).toMatchObject({ read: 4 * (5 * values + batch * heads * queries), written: 4 * 3 * values });
  });

  test("of rows that lie apart, what is between them is not touched", () => {
    const args = { x: view(100), y: view(100), rows: 3, width: 2, xStride: 40, yStride: 2 };
    expect(kernelCost("copyRows", args)).toMatchObject({ read: 4 * 3 * 2, written: 4 * 3 * 2 });
  });
});

describe("a profiled backend", () => {
  const tokens = Int32Array.from({ length: 200 }, (_, i) => (7 * i) % 11);
  const config = resolveConfig("book", [smallRun]);

  it("counts the products of a step: six operations for each weight of a matrix and token", async () => {
    const backend = profiled(openCounting());
    const trainer = undrawnTrainer(backend, config, 11, tokens);
    await trainer.step(0);
    const { batchSize, gradAccumSteps } = config.train;
    const { nLayer, nEmbd, contextLength } = config.model;
    const weights = nLayer * 12 * nEmbd * nEmbd + 11 * nEmbd;
    const products = backend.profile().filter(({ kernel }) => kernel.startsWith("linear"));
    const flops = products.reduce((sum, entry) => sum + entry.flops, 0);
    expect(flops).toBe(6 * weights * batchSize * gradAccumSteps * contextLength);
    for (const { seconds, calls } of backend.profile()) {
      expect(seconds).toBeGreaterThanOrEqual(0);
      expect(calls).toBeGreaterThan(0);
    }
    trainer.close();
  });

  it("adds each call to those of its kernel, the longest time first", async () => {
    const backend = profiled(await openReference({ real: "float64" }));
    expect(backend.profile()).toEqual([]);
    const y = { storage: backend.alloc("float64", 8), offset: 0 };
    backend.run("fill", { y, n: 8, value: 1 });
    backend.run("fill", { y, n: 4, value: 2 });
    backend.run("add", { a: y, b: y, y, n: 8 });
    const profile = backend.profile();
    expect(profile.find(({ kernel }) => kernel === "fill")).toMatchObject({ calls: 2, flops: 0, bytes: 8 * 12 });
    expect(profile.map(({ seconds }) => seconds)).toEqual(profile.map(({ seconds }) => seconds).sort((a, b) => b - a));
    expect(await backend.read(y.storage)).toEqual(Float64Array.from([4, 4, 4, 4, 2, 2, 2, 2]));
    await backend.close();
  });

  it("does not count a call that is refused", async () => {
    const backend = profiled(await openReference({ real: "float64" }));
    const y = { storage: backend.alloc("float64", 2), offset: 0 };
    expect(() => backend.run("fill", { y, n: 3, value: 1 })).toThrow(/fill: y must hold 3/);
    expect(backend.profile()).toEqual([]);
  });

  it("is closed when the backend inside is", async () => {
    for (const inner of [await openReference(), openCounting()]) {
      const backend = profiled(inner);
      expect(backend.isClosed()).toBe(false);
      await inner.close();
      expect(backend.isClosed()).toBe(true);
    }
  });

  it("computes the same bits", async () => {
    const losses = async (timed: boolean): Promise<number> => {
      const backend = timed ? profiled(await openReference()) : await openReference();
      const trainer = createTrainer(backend, config, 11, tokens);
      await trainer.step(0);
      const { loss } = await trainer.step(1);
      trainer.close();
      await backend.close();
      return loss;
    };
    expect(await losses(true)).toBe(await losses(false));
  });
});

forEachBackend("a profiled run", ({ name }) => {
  it("tells where its time went before it is done, and changes nothing else", async () => {
    const data = await writeText(wordsText("profiled", 300));
    const [timed, plain] = [newPath(), newPath()];
    const options = { preset: "book", config: smallRun, data, backend: name, finalSampleTokens: 3 } as const;
    const events = await collect(train({ ...options, out: timed, profile: true }));
    const others = await collect(train({ ...options, out: plain }));
    const types = events.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(["profile", "done"]);
    expect(types.filter((type) => type !== "profile")).toEqual(others.map(({ type }) => type));
    expect(await checkpointHashes(timed)).toEqual(await checkpointHashes(plain));
    const [profile] = ofType(events, "profile");
    expect(profile).toMatchObject({ step: 12, seconds: expect.any(Number) });
    const kernels = profile?.kernels ?? [];
    for (const kernel of ["linearForward", "attentionBackward", "adamStep"]) {
      expect(kernels.map((entry) => entry.kernel)).toContain(kernel);
    }
    const inKernels = kernels.reduce((sum, { seconds }) => sum + seconds, 0);
    expect(inKernels).toBeGreaterThan(0);
    expect(inKernels).toBeLessThanOrEqual(profile?.seconds ?? 0);
  });
});
