import { describe, expect, it } from "vitest";
import { blockForms } from "#foretoken/backend/kernels/block-forms.js";
import { candidates } from "../conformance/candidates.ts";
import { runMix } from "./mixes.ts";

const present = candidates.flatMap((one) => (one.kind === "present" && one.hasBlocks ? [one] : []));

describe("a text of a random mix has the bits that it has alone, with weights in blocks", () => {
  for (const [i, candidate] of present.entries()) {
    it(candidate.name, { timeout: 60_000 }, async () => {
      const backend = await candidate.open(1);
      // The block formats, one after the other.
      const form = i % blockForms.length;
      const { differences, leaked } = await runMix(backend, 500 + i, form);
      expect({ form, differences, leaked }).toEqual({ form, differences: [], leaked: 0 });
      await backend.close();
    });
  }
});
