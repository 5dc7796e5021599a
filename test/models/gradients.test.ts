import { afterAll, beforeAll, expect, it } from "vitest";
import { backward, inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readScalar, readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError, ShapeError } from "#foretoken/core/errors/errors.js";
import { crossEntropyLoss, forward } from "#foretoken/models/forward.js";
import { createGradients, type Gradients } from "#foretoken/models/gradients.js";
import { freshModel, type Model } from "#foretoken/models/model.js";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedIds } from "../support/models.ts";

const vocabSize = 11;
const time = 5;
const config = { ...bookModel, contextLength: time, nLayer: 1, nHead: 2, nEmbd: 8 };
const x = hashedIds("x", 2 * time, vocabSize);
const y = hashedIds("y", 2 * time, vocabSize);

forEachBackend("a training step by hand", ({ open }) => {
  let backend: Backend;
  let model: Model;
  let gradients: Gradients;
  beforeAll(async () => {
    backend = await open(2);
    model = freshModel(backend, config, vocabSize, 1);
    gradients = createGradients(model);
  });
  afterAll(() => backend.close());

  const goBack = (targets: Int32Array, scale?: number): Promise<void> =>
    gradients.record((context) =>
      backward(context, crossEntropyLoss(context, forward(context, model, x, 2, time), targets), scale),
    );
  const values = async (): Promise<Float32Array> => {
    const { storage } = gradients.arena;
    return Float32Array.from(await readTensor(backend, { storage, offset: 0, shape: [storage.length] }));
  };

  it("adds gradients until they are cleared, and scales them", async () => {
    gradients.clear();
    await goBack(y);
    const once = await values();
    expect(once.some((value) => value !== 0)).toBe(true);
    expect(await gradients.norm()).toBeCloseTo(Math.hypot(...once), 4);
    await goBack(y);
    const twice = await values();
    gradients.clear();
    expect(await gradients.norm()).toBe(0);
    await goBack(y, 2);
    for (const sum of [twice, await values()]) {
      for (const [i, value] of sum.entries()) expect(value).toBeCloseTo(2 * (once[i] as number), 5);
    }
  });

  it("adds an addend before the norm, to the same bits", async () => {
    gradients.clear();
    await goBack(y);
    const { storage } = gradients.arena;
    const addend = backend.alloc(storage.dtype, storage.length);
    const added = await values();
    backend.write(addend, storage.dtype === "float32" ? added : Float64Array.from(added));
    const norm = await gradients.norm(addend);
    const sum = await values();
    expect(await gradients.norm()).toBe(norm);
    for (const [i, value] of sum.entries()) expect(value).toBe(2 * (added[i] as number));
    backend.free(addend);
  });

  it("leaves a target of −1 out of the loss and of the gradients", async () => {
    const lossOf = (targets: Int32Array): Promise<number> =>
      withContext(inferenceContext(backend), (context) =>
        readScalar(backend, crossEntropyLoss(context, forward(context, model, x, 2, time), targets)),
      );
    const firstRow = y.map((target, i) => (i < time ? target : -1));
    const secondRow = y.map((target, i) => (i < time ? -1 : target));
    expect((await lossOf(firstRow)) + (await lossOf(secondRow))).toBeCloseTo(await lossOf(y), 4);
    gradients.clear();
    await goBack(y.map(() => -1));
    expect(await gradients.norm()).toBe(0);
  });

  it("leaves no temporaries behind, also after an error", async () => {
    const before = backend.bytesInUse();
    await goBack(y);
    await expect(gradients.record((context) => forward(context, model, x, 1, 2 * time))).rejects.toThrow(ShapeError);
    expect(backend.bytesInUse()).toBe(before);
  });

  it("begins with a model that can be", () => {
    const before = backend.bytesInUse();
    expect(() => freshModel(backend, { ...config, nHead: 3 }, vocabSize, 1)).toThrow(ConfigError);
    expect(() => freshModel(backend, { ...config, nHead: 3 }, vocabSize, 1)).toThrow(
      "model.nEmbd: must be divisible by nHead; got 8 and 3; try 6 or 9",
    );
    expect(backend.bytesInUse()).toBe(before);
  });
});
