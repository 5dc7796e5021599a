import { describe, expect, it } from "vitest";
import { candidates } from "../conformance/candidates.ts";
import { runMix } from "./mixes.ts";

/** The best instruction set of each backend, with both number formats of products. */
const best = candidates
  .filter((one) => one.kind === "present" && one.hasBlocks)
  .filter((one, i, all) => {
    const kind = (name: string): string => name.replace(/(native|wasm) \S+/u, "$1");
    return all.findLastIndex((other) => kind(other.name) === kind(one.name)) === i;
  });

describe("a text of a random mix has the bits that it has alone", () => {
  for (const [i, candidate] of best.entries()) {
    if (candidate.kind === "missing") continue;
    it(candidate.name, async () => {
      const backend = await candidate.open(1);
      const all = { guessed: 0, accepted: 0 };
      for (let seed = 0; seed < 5; seed++) {
        const { differences, counts, leaked } = await runMix(backend, 100 * i + seed);
        expect({ seed, differences, leaked }).toEqual({ seed, differences: [], leaked: 0 });
        expect(counts).toMatchObject({ running: 0, waiting: 0, pagesInUse: 0 });
        all.guessed += counts.guessed;
        all.accepted += counts.accepted;
      }
      expect(all.accepted).toBeGreaterThan(20);
      expect(all.guessed).toBeGreaterThan(1.1 * all.accepted);
      await backend.close();
    });
  }
});
