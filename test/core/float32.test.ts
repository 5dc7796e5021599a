import { describe, expect, it } from "vitest";
import { runConfigSchema } from "#foretoken/config/config.js";
import { presets } from "#foretoken/config/presets.js";
import { parseConfig } from "#foretoken/core/checks/config.js";
import { configFields } from "#foretoken/core/checks/schema-fields.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";

const refusal = (changes: object): string => {
  try {
    resolveConfig("quick", [changes]);
    return "accepted";
  } catch (error) {
    return String(error);
  }
};

describe("numbers that kernels take as float32", () => {
  it.each([
    ["train.optimizer.eps", { train: { optimizer: { eps: 1e-46 } } }],
    ["model.norm.eps", { model: { norm: { eps: 1e-46 } } }],
    ["model.initStd", { model: { initStd: 1e-46 } }],
  ])("%s must not be 0 there", (field, changes) => {
    expect(refusal(changes)).toBe(
      `ConfigError: config.${field}: must not become 0 in float32, whose smallest positive number is 1.4e-45; got 1e-46`,
    );
  });

  it.each([
    ["train.optimizer.eps", { train: { optimizer: { eps: 1e300 } } }],
    ["train.optimizer.weightDecay", { train: { optimizer: { weightDecay: 1e300 } } }],
    ["train.schedule.minLearningRate", { train: { schedule: { minLearningRate: 1e300 } } }],
    ["train.learningRate", { train: { learningRate: 1e300 } }],
    ["train.maxGradNorm", { train: { maxGradNorm: 1e300 } }],
    ["model.norm.eps", { model: { norm: { eps: 1e300 } } }],
    ["model.initStd", { model: { initStd: 1e300 } }],
    ["train.optimizer.adamLearningRateRatio", { train: { optimizer: { kind: "muon", adamLearningRateRatio: 1e300 } } }],
  ])("%s must not be infinite there", (field, changes) => {
    expect(refusal(changes)).toBe(`ConfigError: config.${field}: must be at most 3.4028234663852886e+38; got 1e+300`);
  });

  it("may be the smallest and the largest", () => {
    for (const eps of [1.4e-45, 3.4e38]) expect(refusal({ train: { optimizer: { eps } } })).toBe("accepted");
    expect(refusal({ train: { optimizer: { eps: 0 } } })).toMatch(/eps: must be above 0; got 0/u);
  });

  it("are still fields with flags", () => {
    const paths = configFields(runConfigSchema).map(({ path, type }) => `${path.join(".")} ${type}`);
    for (const name of ["train.optimizer.eps", "model.norm.eps", "model.initStd", "train.learningRate"])
      expect(paths).toContain(`${name} number`);
  });
});

it("a configuration of before there was a choice stops at a step that is not finite, as the presets do", () => {
  const { onNonfinite, maxLossRatio, maxGradNormRatio, ...before } = presets.book.train;
  const parsed = parseConfig(runConfigSchema, { ...presets.book, train: before }, "config");
  expect(parsed).toEqual(presets.book);
  expect({ onNonfinite, maxLossRatio, maxGradNormRatio }).toEqual({
    onNonfinite: "stop",
    maxLossRatio: 10,
    maxGradNormRatio: 1000,
  });
});
