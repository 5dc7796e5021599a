import { expect, it } from "vitest";
import { withCommand } from "../../web/parts/advice.ts";

it("advice is words and a command to copy, or words alone", () => {
  expect(withCommand("slower; to build them with a C++ compiler: node scripts/build/native.mjs")).toEqual({
    words: "slower; to build them with a C++ compiler:",
    command: "node scripts/build/native.mjs",
  });
  expect(withCommand("slower; to install them (package a): npm install --include=optional").command).toBe(
    "npm install --include=optional",
  );
  const failed = "slower; native: the addon must load; got none; try node a.mjs with a C++ compiler on the path";
  expect(withCommand(failed)).toEqual({ words: failed });
});
