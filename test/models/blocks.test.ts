import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { blockForms } from "#foretoken/backend/kernels/block-forms.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { createModel } from "#foretoken/models/model.js";
import { candidates } from "../conformance/candidates.ts";
import { blockConfig, hashedBlockModel } from "../support/block-models.ts";
import { differingModel, hashedIds } from "../support/models.ts";
import { logitsOfText } from "../support/texts.ts";

const vocabSize = 29;
const ids = [...hashedIds("blocks", 21, vocabSize)];

const rootMeanSquare = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

/** Compares the logits of a quantized model with the logits of its dequantized weights in double precision. */
const expectNearWide = async (
  logits: ArrayLike<number>,
  config: ModelConfig,
  widen: ReturnType<typeof hashedBlockModel>["widen"],
): Promise<void> => {
  const reference = await openReference({ real: "float64" });
  const wide = createModel(reference, config, vocabSize, "float64");
  widen((values, offset) => reference.write(wide.arena.storage, Float64Array.from(values), offset));
  wide.weightsChanged();
  const exact = await logitsOfText(wide, ids);
  const differences = Array.from(exact, (value, i) => value - (logits[i] as number));
  // The error of an 8-bit activation is at most 1/254 of the largest activation in its block. The mean of a random
  // block is far from zero. So if terms of a sum cancel, the error of the sum is several times as large. A wrong value
  // or scale gives a far larger error.
  expect(rootMeanSquare(differences) / rootMeanSquare([...exact])).toBeLessThan(0.06);
  expect(rootMeanSquare(differences)).toBeGreaterThan(0);
  await reference.close();
};

const present = candidates.flatMap((one) => (one.kind === "present" && one.hasBlocks ? [one] : []));

// The blocks have two formats, one after the other. Other tests compare the kernels with all formats.
const formsOf = (i: number): readonly number[] => [0, 4].map((more) => (i + more) % blockForms.length);

describe.each(present.map((one, i) => [one.name, one, i] as const))("a model in blocks, %s", (_, candidate, i) => {
  it.each(formsOf(i).map((form) => [blockForms[form]?.name, form] as const))(
    "%s: the logits are those of its numbers, but for 8-bit activations",
    async (_, form) => {
      const backend = await candidate.open(1);
      const config = blockConfig(form, 32);
      const { model, widen } = hashedBlockModel(backend, form, config, vocabSize);
      const logits = await logitsOfText(model, ids);
      model.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
      await expectNearWide(logits, config, widen);
    },
  );

  it("layers that differ: the logits are those of its numbers, but for 8-bit activations", async () => {
    const backend = await candidate.open(1);
    const config: ModelConfig = {
      ...{ ...differingModel, contextLength: 32, nEmbd: 64, nHead: 4, nKvHead: 2, headDim: 16, embeddingScale: 3 },
      mlp: { kind: "geglu", hidden: 96, approximate: "tanh" },
    };
    const { model, widen } = hashedBlockModel(backend, i % 4, config, vocabSize);
    await expectNearWide(await logitsOfText(model, ids), config, widen);
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });
});
