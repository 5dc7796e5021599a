import { describe, expect, test } from "vitest";
import { configOfText, derivedFields } from "#foretoken/config/from-text.js";
import { planConfig } from "#foretoken/train/prepare/prepare.js";

const facts = (tokens: number) => ({ tokens, valTokens: Math.ceil(tokens / 9), vocabSize: 65 });
const sizes = [2, 40, 500, 4500, 14_999, 15_000, 45_000, 149_999, 150_000, 450_000, 4_500_000, 1_000_000_000];

describe("the defaults of a text", () => {
  test.each(sizes)("are a whole configuration for %i tokens", (tokens) => {
    const { model, train } = planConfig(undefined, []).settle(facts(tokens));
    expect(model.contextLength).toBeLessThan(tokens);
    expect(train.steps % train.evalInterval).toBe(0);
    expect(train.checkpointInterval).toBe(train.evalInterval);
    expect(train.patience).toBeGreaterThan(0);
  });

  test("evaluate a short run so rarely that its steps take most of the time", () => {
    const intervalOf = (steps: number) => configOfText(facts(1_000_000), { train: { steps } }).train.evalInterval;
    // An evaluation costs as much as 9 of these steps.
    expect([10, 60, 200, 1000].map(intervalOf)).toEqual([10, 20, 20, 100]);
  });

  test("grow with the text, and drop less", () => {
    const configs = sizes.map((tokens) => configOfText(facts(tokens)));
    const parts = configs.map(({ model, train }) => ({
      weights: model.nLayer * model.nEmbd ** 2,
      seen: train.steps * train.batchSize * model.contextLength,
      kept: 1 - model.dropout,
    }));
    for (const [i, now] of parts.entries()) {
      const before = parts[i - 1];
      if (before === undefined) continue;
      expect(now.weights).toBeGreaterThanOrEqual(before.weights);
      expect(now.seen).toBeGreaterThanOrEqual(before.seen);
      expect(now.kept).toBeGreaterThanOrEqual(before.kept);
    }
    expect(parts.at(-1)?.weights).toBeGreaterThan(parts[2]?.weights ?? 0);
  });

  test("keep what is given, and fit to it what depends on it", () => {
    const usual = configOfText(facts(45_000));
    const changes = { model: { nEmbd: 96, contextLength: 32 }, train: { batchSize: 64, patience: 0 } };
    const { model, train } = planConfig(undefined, [changes]).settle(facts(45_000));
    expect(model).toMatchObject({ nEmbd: 96, contextLength: 32, nHead: 3, mlp: { kind: "swiglu", hidden: 256 } });
    expect(train).toMatchObject({ batchSize: 64, patience: 0 });
    const seen = usual.train.steps * usual.train.batchSize * usual.model.contextLength;
    expect(train.steps * 64 * 32).toBeGreaterThan(0.99 * seen);
    expect(train.steps * 64 * 32).toBeLessThan(1.01 * seen);
    expect(planConfig(undefined, [{ train: { steps: 7 } }]).settle(facts(45_000)).train.steps).toBe(7);
  });

  test("give GEGLU the hidden width of SwiGLU, by the size of the text or in a preset", () => {
    const geglu = { model: { mlp: { kind: "geglu" } } };
    const mlp = { kind: "geglu", hidden: 344, approximate: "tanh" };
    expect(planConfig(undefined, [geglu]).settle(facts(45_000)).model.mlp).toEqual(mlp);
    expect(planConfig("shakespeare", [geglu]).expected.model.mlp).toEqual(mlp);
    expect(planConfig(undefined, [{ model: { nEmbd: 96 } }, geglu]).expected.model.mlp).toMatchObject({ hidden: 256 });
    const hidden = { model: { mlp: { kind: "geglu", hidden: 40 } } };
    expect(planConfig("quick", [hidden]).expected.model.mlp).toMatchObject({ hidden: 40 });
    for (const kind of ["swiglu", "geglu"]) {
      const { model } = planConfig("quick", [{ model: { mlp: { kind } } }]).expected;
      expect(model.mlp).toMatchObject({ kind, hidden: Math.round(model.nEmbd / 3) * 8 });
    }
  });

  test("name the size of a window that has other fields alone", () => {
    expect(() => planConfig("shakespeare", [{ model: { window: { fullEvery: 2 } } }])).toThrow(
      "config.model.window.size: must be a number; got nothing; try a number for model.window.size",
    );
  });

  test("find heads of even parts for any number of channels", () => {
    for (let nEmbd = 2; nEmbd <= 300; nEmbd += 2) {
      const plan = planConfig(undefined, [{ model: { nEmbd } }]);
      expect(plan.settle(facts(45_000)).model.nEmbd).toBe(nEmbd);
    }
  });

  test.each([
    ["model.nEmbd", { model: { nEmbd: 1e9 } }],
    ["model.contextLength", { model: { contextLength: 1e12 } }],
    ["train.batchSize", { train: { batchSize: 1e15 } }],
  ])("make no fault of a field beside the one that was given: %s", (field, changes) => {
    expect(() => planConfig(undefined, [changes]).settle(facts(45_000))).toThrow(`config.${field}: must `);
  });

  test("are told by the names of fields that nobody gave", () => {
    expect(derivedFields({})).toContain("train.steps");
    expect(derivedFields({ train: { steps: 5 } })).not.toContain("train.steps");
    expect(planConfig("book", []).derived).toEqual([]);
  });

  test("read a longer text more in all and each part less often, and take no more than 4,000 steps", () => {
    const seen = ({ model, train }: ReturnType<typeof configOfText>) =>
      train.steps * train.batchSize * model.contextLength;
    const passes = [4000, 40_000, 400_000, 4_000_000].map((tokens) => seen(configOfText(facts(tokens))) / tokens);
    expect(passes.map(Math.round)).toEqual([51, 23, 15, 4]);
    // At the border between two size ranges, the values do not jump.
    for (const tokens of [15_000, 150_000, 1_500_000]) {
      const ratio = seen(configOfText(facts(tokens))) / seen(configOfText(facts(tokens - 1)));
      expect(ratio).toBeGreaterThanOrEqual(1);
      expect(ratio).toBeLessThan(1.05);
    }
    expect(configOfText(facts(1_000_000_000)).train.steps).toBe(4000);
  });

  test("take about a quarter of the steps for a text with few of each of many tokens, and only then", () => {
    const steps = (vocabSize: number) => configOfText({ tokens: 40_000, vocabSize }).train.steps;
    expect([steps(2000), steps(256), steps(65)]).toEqual([250, 900, 900]);
    expect(configOfText({ tokens: 100 * 727, vocabSize: 727 })).toEqual(configOfText(facts(100 * 727)));
  });

  test("take all steps for a book in BPE tokens, and for half of the book more than a quarter", () => {
    const steps = (tokens: number) => configOfText({ tokens, vocabSize: 2048 }).train.steps;
    expect([steps(358_066), steps(177_419), steps(87_340)]).toEqual([1400, 650, 550]);
    // The benchmark's Chinese text, which a quarter of the steps suits best.
    expect(configOfText({ tokens: 26_500, vocabSize: 767 }).train.steps).toBe(150);
  });

  test("name a field that does not fit", () => {
    expect(() => planConfig(undefined, [{ model: { nHead: 5 } }])).toThrow("config.model.nEmbd");
    expect(() => planConfig(undefined, [{ train: { stepz: 5 } }])).toThrow("stepz");
  });
});
