import { expect, it } from "vitest";
import { foldLineEnds } from "#foretoken/lesson/characters.js";

it("counts the line ends of a long run, and leaves a blank line as it is", () => {
  expect(foldLineEnds(`::${"\n".repeat(61)}hho\n\nhaas\n`)).toBe("::\n↵ × 61\nhho\n\nhaas\n");
});
