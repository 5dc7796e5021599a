import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

const hasScript = spawnSync("script", ["--version"]).status === 0;

const record = (command: string, seconds: string) => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-test-record-"));
  try {
    const out = join(folder, "a/b.svg");
    const sizes = ["--columns", "20", "--rows", "3", "--seconds", seconds];
    const { status, stderr } = spawnSync(
      process.execPath,
      ["scripts/docs/record-terminal.mjs", "--out", out, ...sizes, "--", command],
      { encoding: "utf8" },
    );
    return { status, stderr, svg: status === 0 ? readFileSync(out, "utf8") : "" };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

it.skipIf(!hasScript)("draws the screens that a command made, and the colours on them", () => {
  const { status, stderr, svg } = record(
    `printf '\\033[31m<red>\\033[0m plain'; sleep 0.6; printf '\\rgone over'`,
    "2",
  );
  expect(status, stderr).toBe(0);
  // There are two screens. The second screen shows the text that overwrote the first text.
  expect(svg.match(/<g id="f\d+"/gu)?.length).toBeGreaterThanOrEqual(2);
  expect(svg).toContain('fill="#ff7b72">&lt;red&gt;</tspan>');
  expect(svg).toContain(">gone over");
  expect(svg).toContain("prefers-reduced-motion");
});

it.skipIf(!hasScript)("passes a failure on", () => {
  const { status, stderr } = record("false", "1");
  expect(status).not.toBe(0);
  expect(stderr).toContain("false ended with status 1");
});
