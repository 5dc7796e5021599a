import { expect, test } from "vitest";
import { presets } from "#foretoken/config/presets.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { planConfig } from "#foretoken/train/prepare/prepare.js";

const { tokenizer } = presets.shakespeare;
const facts = (tokens: number, valTokens = Math.ceil(tokens / 9), vocabSize = 65) => ({ tokens, valTokens, vocabSize });
const plan = (model: ModelConfig, changes: unknown = {}) =>
  planConfig(undefined, [changes], "config", { model, tokenizer });

/** SmolLM2-135M's shape. */
const large: ModelConfig = {
  ...presets["llama-small"].model,
  contextLength: 8192,
  nLayer: 30,
  nHead: 9,
  nKvHead: 3,
  nEmbd: 576,
  mlp: { kind: "swiglu", hidden: 1536 },
};

test("all weights of a large model are tuned with AdamW, one window a step, two passes over the text", () => {
  const { model, train } = plan(large).settle({ tokens: 305_000, valTokens: 36_000, vocabSize: 49_152 });
  expect(model).toEqual({ ...large, contextLength: 1024 });
  expect(train).toMatchObject({
    batchSize: 1,
    steps: 596,
    learningRate: 1e-4,
    patience: 3,
    maxGradNorm: 1,
    windows: "shuffled",
  });
  expect(train.optimizer.kind).toBe("adamw");
  expect(train.schedule).toEqual({ kind: "cosine", minLearningRate: 0 });
});

test("a small model learns another text as a new model would, in windows of its own", () => {
  const { model } = presets.book;
  const { train, ...rest } = plan(model).settle(facts(45_000));
  const usual = planConfig(undefined, []).settle(facts(45_000));
  expect(rest.model).toEqual(model);
  expect(train.optimizer).toEqual(usual.train.optimizer);
  expect(train.learningRate).toBe(usual.train.learningRate);
  expect(train.windows).toBeUndefined();
  expect(train.steps * model.contextLength).toBeCloseTo(usual.train.steps * usual.model.contextLength, -2);
});

test("adapters of a small model are tuned as those of a large one, with a larger rate of their own", () => {
  const { train } = plan(presets.shakespeare.model, { lora: { rank: 4 } }).settle(facts(100_000));
  expect(train).toMatchObject({ batchSize: 8, learningRate: 2e-4, steps: 98 });
  expect(train.optimizer.kind).toBe("adamw");
});

test("a short run of all weights is evaluated less often, because a checkpoint takes as long as eight steps", () => {
  const text = { tokens: 16_500, valTokens: 1800, vocabSize: 49_152 };
  const evalInterval = (changes: object): number => {
    const { train } = plan(large, changes).settle(text);
    expect(train.checkpointInterval).toBe(train.evalInterval);
    return train.evalInterval;
  };
  expect(evalInterval({ train: { steps: 20 } })).toBe(10);
  expect(evalInterval({ train: { steps: 20 }, lora: { rank: 8 } })).toBe(3);
  expect(evalInterval({ train: { steps: 1000 } })).toBe(100);
});

test.each([2, 3, 10, 500, 5_000, 1e6, 1e9])("a text of %i tokens has a whole configuration", (tokens) => {
  for (const [model, changes] of [
    [large, {}],
    [presets.shakespeare.model, { lora: { rank: 2 } }],
  ] as const) {
    const split = facts(tokens, Math.max(2, Math.floor(tokens / 9)));
    const { model: fitted, train } = plan(model, changes).settle(split);
    expect(fitted.contextLength).toBeGreaterThanOrEqual(1);
    expect(fitted.contextLength).toBeLessThan(Math.max(2, tokens));
    expect(train.steps).toBeGreaterThanOrEqual(20);
    expect(train.steps).toBeLessThanOrEqual(1000);
    expect(train.evalInterval).toBeLessThanOrEqual(train.steps);
  }
});

test("positions that are learned keep their number", () => {
  const { model } = presets.book;
  expect(plan(model).settle(facts(60)).model).toEqual(model);
});

test("evaluations are fewer where the held-out text is long beside the steps", () => {
  const steps = { train: { steps: 100 } };
  const intervalFor = (valTokens: number): number =>
    plan(large, steps).settle({ tokens: 1e6, valTokens, vocabSize: 65 }).train.evalInterval;
  expect(intervalFor(1_000)).toBe(17);
  expect(intervalFor(1_000_000)).toBe(50);
});

test("what is given stays, and what depends on it follows", () => {
  const changes = { model: { contextLength: 256 }, train: { batchSize: 4, learningRate: 3e-5 } };
  const { derived, settle } = plan(large, changes);
  const { model, train } = settle(facts(102_400));
  expect(model.contextLength).toBe(256);
  expect(train).toMatchObject({ batchSize: 4, learningRate: 3e-5, steps: 200 });
  expect(derived).toEqual(["train.steps", "train.evalInterval", "train.checkpointInterval", "train.patience"]);
});

test("a field that does not fit is named", () => {
  expect(() => plan(large, { train: { steps: -1 } }).settle(facts(1000))).toThrow(ConfigError);
});

test("of documents the window is as long as it may be, and steps follow from their rows", () => {
  // 90 documents of 100 tokens each. A row has space for 10 documents.
  const documents = {
    ...facts(9_000, 50, 49_152),
    rowsPerPass: (contextLength: number, kind: "packed" | "one") =>
      kind === "one" ? 90 : Math.ceil(90 / Math.floor(contextLength / 100)),
  };
  const packed = plan(large).settle(documents);
  expect(packed.model.contextLength).toBe(1024);
  expect(packed.train).toMatchObject({ batchSize: 1, steps: 20 });
  expect(packed.train.windows).toBeUndefined();
  // 10 documents per step, for two passes over 90 documents.
  const one = plan(large, { train: { rows: "one" } }).settle(documents);
  expect(one.train).toMatchObject({ batchSize: 10, steps: 20 });
  const more = plan(large, { train: { rows: "one", batchSize: 3 } }).settle(documents);
  expect(more.train.steps).toBe(60);
  // A batch contains at most all documents.
  const few = plan(large).settle({ ...documents, tokens: 90, rowsPerPass: () => 1 });
  expect(few.train.batchSize).toBe(1);
});
