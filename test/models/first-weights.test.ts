import { expect, test } from "vitest";
import { backward, inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { residualStream } from "#foretoken/inside/residual-stream.js";
import { forwardLoss } from "#foretoken/models/forward.js";
import { createGradients } from "#foretoken/models/gradients.js";
import { freshModel } from "#foretoken/models/model.js";
import { hashedIds, qwen3Model } from "../support/models.ts";

const vocabSize = 11;
const ids = hashedIds("x", 7, vocabSize);

test.each([
  ["before", ["attention.projection.weight", "mlp.down.weight"]],
  ["after", ["attentionPostNorm.weight", "mlpPostNorm.weight"]],
  ["both", ["attentionPostNorm.weight", "mlpPostNorm.weight"]],
] as const)("with zeroProjections and norms %s, a block starts as the identity, and %j learn", async (where, last) => {
  const backend = await openReference();
  const shape = { contextLength: 16, nEmbd: 12, nHead: 2, nLayer: 2, mlp: { kind: "swiglu", hidden: 10 } } as const;
  const config = { ...qwen3Model, ...shape, zeroProjections: true, normPlacement: where };
  const model = freshModel(backend, config, vocabSize, 3);
  const streams = await withContext(inferenceContext(backend), async (context) => {
    const all = [];
    for (const { after } of residualStream(context, model, ids)) all.push(await readTensor(backend, after));
    return all;
  });
  expect(streams).toHaveLength(5);
  for (const stream of streams) expect(stream).toEqual(streams[0]);
  const gradients = createGradients(model);
  await gradients.record((context) => backward(context, forwardLoss(context, model, ids, ids, 1, ids.length)));
  for (const name of last) {
    const tensor = gradients.arena.tensors.get(`blocks.1.${name}`);
    if (tensor === undefined) throw new Error(`no ${name}`);
    expect((await readTensor(backend, tensor)).some((value) => value !== 0)).toBe(true);
  }
  gradients.close();
  model.close();
  await backend.close();
});
