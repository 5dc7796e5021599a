import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { blockForms } from "#foretoken/backend/kernels/block-forms.js";
import { createModel } from "#foretoken/models/model.js";
import { candidates } from "../conformance/candidates.ts";
import { blockConfig, hashedBlockModel } from "../support/block-models.ts";
import { hashedIds } from "../support/models.ts";
import { logitsOfText } from "../support/texts.ts";

const vocabSize = 29;
const ids = [...hashedIds("blocks", 21, vocabSize)];

const rootMeanSquare = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

const present = candidates.flatMap((one) => (one.kind === "present" && one.hasBlocks ? [one] : []));

// Two forms each, in turn: the kernels are compared in all forms elsewhere.
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
      const reference = await openReference({ real: "float64" });
      const wide = createModel(reference, config, vocabSize, "float64");
      widen((values, offset) => reference.write(wide.arena.storage, Float64Array.from(values), offset));
      wide.weightsChanged();
      const exact = await logitsOfText(wide, ids);
      const differences = Array.from(exact, (value, i) => value - (logits[i] as number));
      // An 8-bit activation is off by at most 1/254 of the largest of its block. Blocks of random values are far from zero on average, so
      // what cancels in a sum leaves several times that; a wrong value or scale leaves all of it.
      expect(rootMeanSquare(differences) / rootMeanSquare([...exact])).toBeLessThan(0.08);
      expect(rootMeanSquare(differences)).toBeGreaterThan(0);
      await reference.close();
    },
  );
});
