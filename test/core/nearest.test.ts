import { expect, it } from "vitest";
import { nearest } from "#foretoken/core/text/nearest.js";

it("suggests the name with the fewest edits, the first of equal ones", () => {
  expect(nearest("stpes", ["seed", "steps", "dtype"])).toBe("steps");
  expect(nearest("STEPS", ["seed", "steps"])).toBe("steps");
  expect(nearest("x", ["ab", "cd"])).toBe("ab");
  expect(nearest("x", [])).toBeUndefined();
});

// Without a limit, comparing such texts takes a minute, and 30 MB end the process.
it("suggests nothing for a word that is no mistyped name, or among too many names", () => {
  expect(nearest("k".repeat(30_000_000), ["steps"])).toBeUndefined();
  expect(nearest("k".repeat(65), ["k".repeat(64)])).toBeUndefined();
  expect(nearest("steps", ["s".repeat(1_000_000), "step"])).toBe("step");
  expect(nearest("steps", Array<string>(1_000_000).fill("steps"))).toBeUndefined();
});
