import { expect, it } from "vitest";
import { checkLines } from "#foretoken/cli/display/texts/doctor-table.js";
import { columns } from "#foretoken/cli/display/texts/width.js";
import type { CheckResult } from "#foretoken/doctor/check.js";
import { style } from "./style.ts";

const plain = style(true);

const bad: CheckResult = {
  ...{ name: "causal mask", backend: "reference", status: "failed", seconds: 1 },
  fact: "position 0 sees token 1, which comes after it, in GPT-2's shape (float32)",
  advice: "install Foretoken again; if the check still fails, test this machine's memory",
};
const right: CheckResult = { ...bad, name: "node", backend: null, status: "ok", fact: "v20.20.2", advice: null };

it("writes a check in a line, and what to do below it", () => {
  expect(checkLines(right, 80, plain)).toEqual(["node                 ok      v20.20.2"]);
  expect(checkLines(bad, 80, plain)).toEqual([
    "reference: causal mask failed  position 0 sees token 1, which comes after it, in",
    "                               GPT-2's shape (float32)",
    "                               → install Foretoken again; if the check still",
    "                                 fails, test this machine's memory",
  ]);
});

it("writes the fact below the name where the terminal is narrow", () => {
  const lines = checkLines(bad, 44, plain);
  expect(lines.slice(0, 2)).toEqual(["reference: causal mask failed", "  position 0 sees token 1, which comes after"]);
  for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(44);
});

it("writes one line where a program reads it, and steers no terminal", () => {
  expect(checkLines(bad, Number.POSITIVE_INFINITY, plain)).toEqual([
    `reference: causal mask failed  ${bad.fact} → ${bad.advice}`,
  ]);
  const [line] = checkLines({ ...right, fact: "a\u001b[2Jb\nc" }, Number.POSITIVE_INFINITY, plain);
  expect(line).toBe("node                 ok      a␛[2Jb␊c");
});
