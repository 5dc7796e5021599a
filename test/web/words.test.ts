import { describe, expect, it } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";
import { bestIn, incomparable, measureOf } from "../../web/compare/differences.ts";
import { failureText, fieldOf, wrongOf } from "../../web/new-run/labels.ts";
import { flatten } from "../../web/parts/format.ts";

describe("a failure in the words of the form", () => {
  it("has the form's name of the field", () => {
    const failure = { error: "config.model.nEmbd: must be above 0; got -1", field: "model.nEmbd" };
    expect(failureText(failure)).toBe("Width: must be above 0; got -1");
    expect(wrongOf(failure)).toBe("must be above 0; got -1");
    expect(failureText({ error: "name: must be new", field: "name" })).toBe("Name: must be new");
    expect(failureText({ error: "train.betas: must be two", field: "train.betas" })).toBe(
      "Training, betas: must be two",
    );
  });

  it("stands at the first field of a group that it is about as a whole", () => {
    expect(fieldOf({ error: "", field: "tokenizer" })).toBe("tokenizer.kind");
    expect(fieldOf({ error: "", field: "text.name" })).toBe("text");
  });

  it("stays as it is where it is about no field", () => {
    expect(failureText({ error: "memory: must suffice; got less", field: "memory" })).toBe(
      "memory: must suffice; got less",
    );
    expect(failureText({ error: "studio: one run at a time" })).toBe("studio: one run at a time");
  });
});

describe("a configuration in lines", () => {
  it("has lists and objects in words", () => {
    const extensions = [{ after: 300, planned: 300, schedule: "stretch" }];
    const lines = flatten({ train: { steps: 600, extensions, betas: [0.9, 0.95] }, lora: null });
    expect(lines).toEqual([
      { path: "train.steps", value: "600" },
      { path: "train.extensions", value: "at step 300, planned to 300 (stretch)" },
      { path: "train.betas", value: "0.9, 0.95" },
      { path: "lora", value: "none" },
    ]);
  });
});

describe("a comparison says whose losses do not compare", () => {
  const run = (corpusSha256: string, kind: "char" | "bpe", vocabSize: number | null) => ({
    corpusSha256,
    vocabSize,
    config: { tokenizer: { kind } } as RunConfig,
  });

  it("of different texts in any unit", () => {
    for (const unit of ["nats per token", "bits per byte"])
      expect(incomparable([run("a", "char", 65), run("b", "char", 65)], unit)).toMatch(/different texts/);
  });

  it("of different tokenizers where the unit is a token", () => {
    const runs = [run("a", "char", 65), run("a", "bpe", 512)];
    expect(incomparable(runs, "nats per token")).toMatch(/different tokenizers/);
    expect(incomparable(runs, "nats per character")).toBeUndefined();
    expect(incomparable(runs, "bits per byte")).toBeUndefined();
  });

  it("and begins with a measure that compares", () => {
    const same = [run("a", "char", 65), run("a", "char", 65)];
    const different = [run("a", "char", 65), run("a", "bpe", 512)];
    expect(measureOf(null, same).value).toBe("valLoss");
    expect(measureOf(null, different).value).toBe("bitsPerByte");
    expect(incomparable(different, measureOf(null, different).unit)).toBeUndefined();
    expect(measureOf("valLoss", different).value).toBe("valLoss");
    expect(measureOf("nonsense", same).value).toBe("valLoss");
  });

  it("and gives the best value in the same measure", () => {
    const best = { step: 8, valLoss: 6.1, natsPerCharacter: 2.2, bitsPerByte: 3.2 };
    expect(bestIn(measureOf("bitsPerByte", []), best)).toEqual({ value: 3.2, unit: "bits per byte" });
    expect(bestIn(measureOf("natsPerCharacter", []), best)).toEqual({ value: 2.2, unit: "nats per character" });
    expect(bestIn(measureOf("loss", []), best)).toEqual({ value: 6.1, unit: "nats per token, validation" });
    expect(bestIn(measureOf("loss", []), null).value).toBeUndefined();
  });

  it("not of runs with the same ones, or without any step", () => {
    expect(incomparable([run("a", "bpe", 512), run("a", "bpe", 512)], "nats per token")).toBeUndefined();
    expect(incomparable([run("a", "bpe", 512), run("a", "bpe", null)], "nats per token")).toBeUndefined();
  });
});
