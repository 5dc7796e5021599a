import { describe, expect, it } from "vitest";
import { parseConfig } from "#foretoken/core/checks/config.js";
import { type LoraConfig, loraConfigSchema } from "#foretoken/models/lora/config.js";
import { loraLayout } from "#foretoken/models/lora/layout.js";
import { bookModel, groupedModel } from "../../support/models.ts";

const lora = (changes: Partial<LoraConfig> = {}): LoraConfig => parseConfig(loraConfigSchema, changes, "lora");
const model = { ...groupedModel, nLayer: 2, nEmbd: 18, mlp: { kind: "swiglu", hidden: 20 } } as const;

describe("the layout of an adapter", () => {
  it("has both matrices of each linear layer of each block", () => {
    const { parameters, decayed, length } = loraLayout(model, lora({ rank: 3 }));
    const ofFirst = parameters.filter(({ name }) => name.startsWith("blocks.0."));
    expect(ofFirst.map(({ name, shape }) => [name, shape])).toEqual([
      ["blocks.0.attention.query.loraA", [3, 18]],
      ["blocks.0.attention.key.loraA", [3, 18]],
      ["blocks.0.attention.value.loraA", [3, 18]],
      ["blocks.0.attention.query.loraB", [40, 3]],
      ["blocks.0.attention.key.loraB", [20, 3]],
      ["blocks.0.attention.value.loraB", [20, 3]],
      ["blocks.0.attention.projection.loraA", [3, 40]],
      ["blocks.0.attention.projection.loraB", [18, 3]],
      ["blocks.0.mlp.gate.loraA", [3, 18]],
      ["blocks.0.mlp.up.loraA", [3, 18]],
      ["blocks.0.mlp.gate.loraB", [20, 3]],
      ["blocks.0.mlp.up.loraB", [20, 3]],
      ["blocks.0.mlp.down.loraA", [3, 20]],
      ["blocks.0.mlp.down.loraB", [18, 3]],
    ]);
    expect(parameters).toHaveLength(2 * ofFirst.length);
    expect(decayed).toBe(length);
  });

  it("has the matrices A of one input directly behind each other, and no two parameters in one place", () => {
    const { parameters } = loraLayout(model, lora({ rank: 3 }));
    for (const [i, { offset, adjoins }] of parameters.entries()) {
      const before = parameters[i - 1];
      const end = before === undefined ? 0 : before.offset + before.size;
      if (adjoins === true) expect(offset).toBe(end);
      else expect(offset).toBe(Math.ceil(end / 32) * 32);
    }
    expect(parameters.filter(({ adjoins }) => adjoins === true)).toHaveLength(2 * 3);
  });

  it("has the chosen layers alone, whatever their order", () => {
    const names = loraLayout(model, lora({ targets: ["down", "value", "query"] })).parameters.map(({ name }) => name);
    expect(names.filter((name) => name.startsWith("blocks.1."))).toEqual([
      "blocks.1.attention.query.loraA",
      "blocks.1.attention.value.loraA",
      "blocks.1.attention.query.loraB",
      "blocks.1.attention.value.loraB",
      "blocks.1.mlp.down.loraA",
      "blocks.1.mlp.down.loraB",
    ]);
  });

  it("refuses a gate where there is none", () => {
    expect(() => loraLayout(bookModel, lora({ targets: ["gate"] }))).toThrow(
      "lora.targets: must be layers of the model: query, key, value, projection, up or down; got gate",
    );
    expect(loraLayout(bookModel, lora()).parameters.some(({ name }) => name.includes("gate"))).toBe(false);
  });
});
