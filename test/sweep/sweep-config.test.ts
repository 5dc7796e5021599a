import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { sweepJsonSchema } from "#foretoken/sweep/schema.js";
import { parseSweep, seedsOf, settingsOf, stopOf } from "#foretoken/sweep/sweep-config.js";

const settings = (json: object) => settingsOf(parseSweep({ data: "t.txt", ...json }, "s.json"), "s.json");
const named = (json: object) => settings(json).map(({ name }) => name);

describe("settings", () => {
  it("are all combinations of lists and ranges, the first field slowest", () => {
    const vary = {
      "train.learningRate": { from: 0.001, to: 0.01, count: 3, scale: "log" },
      "model.nLayer": { from: 2, to: 7, step: 2 },
    };
    expect(named({ vary })).toEqual([
      ...["learningRate 0.001, nLayer 2", "learningRate 0.001, nLayer 4", "learningRate 0.001, nLayer 6"],
      ...["learningRate 0.00316, nLayer 2", "learningRate 0.00316, nLayer 4", "learningRate 0.00316, nLayer 6"],
      ...["learningRate 0.01, nLayer 2", "learningRate 0.01, nLayer 4", "learningRate 0.01, nLayer 6"],
    ]);
    expect(named({ vary: { "train.warmupSteps": { from: 0, to: 10, count: 3 } } })).toEqual([
      ...["warmupSteps 0", "warmupSteps 5", "warmupSteps 10"],
    ]);
  });

  it("change the fields of all settings, with nested ones", () => {
    const found = settings({
      model: { nLayer: 3, nEmbd: 64 },
      train: { steps: 50 },
      settings: [{ name: "constant", train: { schedule: { kind: "constant" } } }, { model: { nLayer: 4 } }],
      vary: { "train.batchSize": [8, 16] },
    });
    expect(found.map(({ name }) => name)).toEqual([
      ...["constant, batchSize 8", "constant, batchSize 16", "setting 2, batchSize 8", "setting 2, batchSize 16"],
    ]);
    expect(found[2]?.parts).toEqual([
      { field: null, value: "setting 2" },
      { field: "batchSize", value: "8" },
    ]);
    expect(found[1]?.config).toEqual({
      ...{ tokenizer: {}, model: { nLayer: 3, nEmbd: 64 } },
      train: { steps: 50, schedule: { kind: "constant" }, batchSize: 16 },
    });
    expect(found[2]?.config.model).toEqual({ nLayer: 4, nEmbd: 64 });
  });

  it("name fields in full where their last words are the same", () => {
    expect(named({ vary: { "model.norm.kind": ["rmsnorm"], "model.mlp.kind": ["gelu", "swiglu"] } })[0]).toBe(
      "model.norm.kind rmsnorm, model.mlp.kind gelu",
    );
  });

  it.each([
    [
      { vary: { "train.learningrate": [1, 2] } },
      "s.json: vary: must name configuration fields, such as train.learningRate; got train.learningrate; try train.learningRate",
    ],
    [{ vary: { learningRate: [1, 2] } }, "try train.learningRate"],
    [{ vary: { "train.seed": [1, 2] } }, "got train.seed; try seeds"],
    [
      { vary: { "train.learningRate": [1] } },
      "s.json: must describe from 2 to 1000 settings, with vary or settings; got 1",
    ],
    [{}, "got 1"],
    [{ vary: { "train.steps": { from: 1, to: 5000, step: 1 } } }, "vary.train.steps: must have from 1 to 1000 values"],
    [{ vary: { "train.steps": { from: 0, to: 5, count: 3, scale: "log" } } }, "must be above 0 on a log scale"],
    [
      { vary: { "train.steps": { from: 1, to: 500, step: 1 }, "train.batchSize": [1, 2, 3] } },
      "at most 1000 settings; got more, with train.batchSize",
    ],
    [{ seeds: [1, 1], vary: {} }, "seeds: must be different; got 1, 1"],
    [{ choose: 0.6, heldOut: 0.5 }, "choose and heldOut: must leave a part of the text for training"],
    [{ seeds: 1, stop: { kind: "race" } }, "stop: a race needs at least two seeds; got 1"],
    [{ stop: { kind: "halving", stages: [0.5, 0.25] } }, "stop.stages: must rise"],
    [{ stop: { kind: "halvign" } }, "stop.kind"],
    [{ sweeps: 1 }, '"sweeps"'],
  ])("refuse %j", (json, message) => {
    expect(() => settings(json)).toThrow(message);
  });

  it("have three seeds and a race unless another rule is given", () => {
    const parsed = parseSweep({ data: "t.txt" }, "s.json");
    expect([seedsOf(parsed), stopOf(parsed)]).toEqual([[1, 2, 3], { kind: "race", error: 0.05 }]);
    expect(stopOf(parseSweep({ data: "t.txt", seeds: [7] }, "s.json"))).toEqual({ kind: "never" });
  });
});

describe("the published schema", () => {
  const published: unknown = JSON.parse(
    readFileSync(fileURLToPath(new URL("../../schemas/sweep.json", import.meta.url)), "utf8"),
  );

  it("is that of the program: node scripts/docs/sweep-schema.mjs", () => {
    expect(published).toEqual(JSON.parse(JSON.stringify(sweepJsonSchema())));
  });

  const schema = z.fromJSONSchema(published as never);
  const good = {
    ...{ $schema: "schemas/sweep.json", data: "notes.txt", seeds: 3, budget: { minutes: 5 } },
    train: { steps: 500, schedule: { kind: "linear" } },
    vary: {
      "train.learningRate": { from: 0.001, to: 0.01, count: 3, scale: "log" },
      "model.norm.kind": ["rmsnorm", "layernorm"],
    },
    settings: [{ model: { nLayer: 2 } }, { model: { nLayer: 4 } }],
  };
  it("takes a sweep's file", () => {
    expect(schema.safeParse(good).error).toBeUndefined();
    expect(settings(good).length).toBe(12);
  });
  it.each([
    [{ ...good, vary: { "train.learninRate": [1] } }],
    [{ ...good, vary: { "model.norm.kind": ["rms"] } }],
    [{ ...good, train: { stepz: 5 } }],
    [{ ...good, stop: { kind: "half" } }],
    [{ seeds: 3 }],
  ])("refuses %j", (json) => {
    expect(schema.safeParse(json).success).toBe(false);
  });
});
