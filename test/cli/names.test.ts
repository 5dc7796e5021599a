import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { inFlags } from "#foretoken/cli/flags/option-names.js";
import { printable, printableName } from "#foretoken/cli/process/terminal.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { commandLine } from "#foretoken/core/text/shell-word.js";
import { cli, jsonLines, onWindows, shell, tiny, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Clears the screen in two ways, rings the bell, and contains a right-to-left mark and line separators. */
const name = "ev\u001b[2Jil\u009b2J\u0007\u202e\n\u2028x";

const noNames = onWindows ? " (Windows has no such names)" : "";

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});

afterAll(() => remove());

/** Characters that must not reach a terminal: all control characters, except the line ends that we print. */
const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

test.skipIf(onWindows)(`no name of a file or a folder steers the terminal${noNames}`, async () => {
  mkdirSync(join(cwd, `texts${name}`));
  writeFileSync(join(cwd, `texts${name}`, "a.txt"), "The cat sat on a mat.\n".repeat(100));
  writeFileSync(join(cwd, `texts${name}`, `${name}.bin`), Buffer.from([0, 1, 2]));
  const trained = await cli(["train", ...tinyWith("--data", `texts${name}`), "--out", name], { cwd });
  expect(trained.status).toBe(0);
  expect(trained.stdout).toMatch(/^step 6 {3}checkpoint ev␛\[2Jil\ufffd2J␇\ufffd␊\ufffdx\/checkpoint$/mu);
  expect(trained.stderr).toMatch(/^textsev\\u001b[^\n]*: skipped 1 binary file, ev\\u001b[^\n]*\.bin\n$/u);
  const others = await Promise.all([
    cli(["runs", "."], { cwd }),
    cli(["runs", ".", "--json"], { cwd }),
    cli(["runs", `${name}/nowhere`], { cwd }),
    cli(["generate", name, "--max-new-tokens", "1", "--prompt", name], { cwd }),
    cli(["generate", `${name}/nowhere`], { cwd }),
    cli(["evaluate", name, "--data", `${name}/nowhere`], { cwd }),
    cli(["evaluate", name, "--weights", name], { cwd }),
    cli(["train", "--resume", name], { cwd }),
    cli(["train", ...tiny, "--out", name], { cwd }),
    cli(["train", ...tiny, "--out", name, "--verbose"], { cwd }),
    cli(["train", ...tiny, "--config", name], { cwd }),
    cli(["train", `--${name}`, "5"], { cwd }),
    cli([name], { cwd }),
    cli(["info"], { cwd, env: { FORETOKEN_CORPORA: name, XDG_CACHE_HOME: `/tmp/${name}` } }),
    cli(["info", "--json"], { cwd, env: { FORETOKEN_CORPORA: name, XDG_CACHE_HOME: `/tmp/${name}` } }),
    cli(["info"], { cwd, env: { FORETOKEN_ISA: name } }),
  ]);
  for (const { stdout, stderr } of [trained, ...others]) {
    expect(stdout).not.toMatch(raw);
    expect(stderr).not.toMatch(raw);
  }
  const [, listed] = others;
  expect(jsonLines(String(listed?.stdout)).map((run) => run.name)).toContain(name);
  // The folder's name, quoted for each shell.
  const next = trained.stdout.split("\n").find((line) => line.includes("foretoken evaluate"));
  const evaluated = await shell(String(next).replace("npx foretoken", "foretoken"), cwd);
  expect(evaluated.stdout).toMatch(/^nats per token/u);
});

test.skipIf(onWindows)(
  `a suggested command means the same in a shell, whatever is in its words${noNames}`,
  async () => {
    const words = [name, "it's\u001b", 'a\\b"$HOME`\n', "\u007f1", "é\u2069f!", "\u0001\u00307"];
    const line = commandLine(words);
    expect(line).not.toMatch(raw);
    expect(line).not.toContain("\n");
    const { stdout } = await shell(`npx() { shift; printf '%s|' "$@"; }; ${line}`, "/");
    expect(stdout).toBe(words.map((word) => `${word}|`).join(""));
  },
);

test("what orders or breaks lines is visible, in a text as in a name", () => {
  expect(printable("a\u202eb\u2028c\u2066d\n\te")).toBe("a\ufffdb\ufffdc\ufffdd\n\te");
  expect(printableName("a\u202eb\nc")).toBe("a\ufffdb␊c");
  expect(printableName("a\u202eb\nc\u009b", false)).toBe("a?b^Jc?");
});

test("a hint names flags, and leaves flags and paths in it as they are", () => {
  const hintIn = (hint: string): string => (inFlags(new ConfigError({ where: "x", must: "y", hint })) as Error).message;
  expect(hintIn("npx foretoken train --resume runs/a")).toBe("x: y; try npx foretoken train --resume runs/a");
  expect(hintIn("another folder, or resume my runs/a")).toBe("x: y; try another folder, or --resume my runs/a");
  expect(hintIn("a lower train.learningRate, or train.maxGradNorm 1")).toBe(
    "x: y; try a lower --train.learningRate, or --train.maxGradNorm 1",
  );
  expect(hintIn("npx foretoken train --resume runs/train.old/valData")).toBe(
    "x: y; try npx foretoken train --resume runs/train.old/valData",
  );
});

test("every refusal is one line of at most 300 characters, whatever was given", async () => {
  const long = "x".repeat(4000);
  const huge = "\u001b".repeat(100_000);
  writeFileSync(join(cwd, "key.json"), JSON.stringify({ train: { [huge]: 1 } }));
  writeFileSync(join(cwd, "value.json"), JSON.stringify({ train: { steps: huge } }));
  const refused = [
    ["generate", long],
    ["evaluate", long],
    ["runs", long],
    [long],
    ["train", "--resume", long],
    ["train", ...tinyWith("--data", long)],
    ["train", ...tiny, "--config", long],
    ["train", "--config", "key.json"],
    ["train", "--config", "value.json"],
    ["train", `--${huge}`],
    ["train", "--steps", huge],
    ["train", "--preset", huge],
    ["train", "--data", `--${huge}`],
    ["info", huge],
    ["completion", huge],
    ["generate", "x", "--stop", `\\${huge}`],
  ];
  const outcomes = await Promise.all(refused.map((args) => cli(args, { cwd })));
  for (const [i, { status, stderr }] of outcomes.entries()) {
    const what = refused[i]?.map((word) => word.slice(0, 20)).join(" ");
    expect(status, what).toBe(2);
    expect(stderr, what).toMatch(/^foretoken: [^\n]+\n$/u);
    expect(stderr.trimEnd().length, what).toBeLessThanOrEqual(300);
  }
});
