import { describe, expect, it } from "vitest";
import { blockForms } from "#foretoken/backend/kernels/block-forms.js";
import { candidates } from "../conformance/candidates.ts";
import { runMix } from "./mixes.ts";

/** Total number of random mixes. These mixes differ from the mixes of the quick test. */
const mixes = 100;

describe("a text of a random mix has the bits that it has alone, with every instruction set", () => {
  const present = candidates.flatMap((one) => (one.kind === "present" && one.hasBlocks ? [one] : []));
  const each = Math.ceil(mixes / present.length);
  for (const [i, { name, threads, open }] of present.entries()) {
    it(name, { timeout: 300_000 }, async () => {
      const backend = await open(Math.max(...threads));
      for (let seed = 0; seed < each; seed++) {
        const { differences, counts, leaked } = await runMix(backend, 10_000 + each * i + seed);
        expect({ seed, differences, leaked }).toEqual({ seed, differences: [], leaked: 0 });
        expect(counts).toMatchObject({ running: 0, waiting: 0, pagesInUse: 0 });
      }
      await backend.close();
    });

    it(`${name}, with weights in blocks of every form`, { timeout: 300_000 }, async () => {
      const backend = await open(Math.max(...threads));
      for (const form of blockForms.keys()) {
        const { differences, leaked } = await runMix(backend, 20_000 + 10 * i + form, form);
        expect({ form, differences, leaked }).toEqual({ form, differences: [], leaked: 0 });
      }
      await backend.close();
    });
  }
});
