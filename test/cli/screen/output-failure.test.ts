import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, cliProcess, jsonLines, onWindows, shell, tiny, workplace } from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  expect(await cli(["train", ...tiny, "--out", "run"], { cwd })).toMatchObject({ status: 0 });
});

afterAll(() => remove());

const told = /^foretoken: standard output: must accept all output; got ENOSPC[^\n]*; try [^\n]+\n$/u;
// The flag chooses the backend, so that there is no notice about a missing faster backend.
const backend = "--backend reference";
const full = { output: "/dev/full" };
const training = `train ${tiny.join(" ")}`;
const lesson = "lesson pairs --data text.txt --backend reference";

const commands = [
  ...[
    "--help",
    "--version",
    "train --help",
    "train --help-all",
    "info",
    "info --json",
    "runs .",
    "runs . --json",
    "completion bash",
  ],
  ...[`generate run ${backend}`, `generate run --json ${backend}`, `evaluate run ${backend}`],
  ...[`evaluate run --json ${backend}`, lesson, `${lesson} --json`],
];

const noFullDevice = existsSync("/dev/full") ? "" : " (this system has no /dev/full)";

describe.skipIf(noFullDevice !== "")(`where the disk is full${noFullDevice}`, () => {
  test.each(commands)("%s says so in a line, and ends with the status of a mistake", async (line) => {
    const outcome = await cli(line.split(" "), { cwd, ...full });
    expect(outcome).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(told) });
  });

  test("so does the program that a shell has started", async () => {
    const outcome = await shell(`foretoken evaluate run ${backend} > /dev/full`, cwd);
    expect(outcome).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(told) });
  });

  test("so does generate that takes prompts from a pipe", async () => {
    const args = ["generate", "run", "-i", "--backend", "reference"];
    const outcome = await cli(args, { cwd, ...full, input: "The\nIt\n" });
    expect(outcome).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(told) });
  });

  test("the status is the same where standard error is full too", async () => {
    const lines = ["--help", "info --json", "generate run", `${training} --out unheard`];
    const [outcomes, nonsense] = await Promise.all([
      Promise.all(lines.map((line) => shell(`foretoken ${line} > /dev/full 2>&1`, cwd))),
      shell("foretoken nonsense 2> /dev/full", cwd),
    ]);
    expect(outcomes).toEqual(lines.map(() => ({ status: 2, stdout: "", stderr: "" })));
    expect(nonsense.status).toBe(2);
  });

  test.each(["", " --json"])("train%s saves first, and names how to go on", async (flag) => {
    const out = `full${flag.trim()}`;
    const outcome = await cli(`${training}${flag} --out ${out}`.split(" "), { cwd, ...full });
    expect(outcome).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(told) });
    expect(outcome.stderr).toContain(`npx foretoken train --resume ${out}, `);
    const rest = await cli(["train", "--resume", out, "--backend", "reference", "--json"], { cwd });
    expect(rest.status).toBe(0);
    expect(jsonLines(rest.stdout).at(-1)).toMatchObject({ type: "done", reason: "finished", step: 6 });
  });
});

const noLimit = onWindows ? " (Windows has no limit for the size of a file)" : "";

// If a write exceeds the size limit of a file, the file gets only the beginning of this write. Later writes fail.
test.skipIf(onWindows)(`a write that is cut short is not taken for a whole one${noLimit}`, async () => {
  const whole = await cli(["train", "--help-all"], { cwd });
  expect(whole.stdout.length).toBeGreaterThan(2048);
  const outcome = await shell("ulimit -f 1; foretoken train --help-all > short.txt", cwd);
  expect(outcome).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^[^\n]*standard output[^\n]*EFBIG[^\n]*\n$/u),
  });
  const taken = readFileSync(join(cwd, "short.txt"), "utf8");
  expect(statSync(join(cwd, "short.txt")).size).toBeLessThan(whole.stdout.length);
  expect(whole.stdout.startsWith(taken)).toBe(true);
});

const noShell = onWindows ? " (Windows has no POSIX shell)" : "";

test.skipIf(onWindows)(`a reader that is gone takes no status away${noShell}`, async () => {
  const line = "printf 'The q\\nThe\\n' | foretoken generate run -i --json | head -c 1 > /dev/null";
  const { stdout } = await shell(`${line}; echo "\${PIPESTATUS[1]}"`, cwd);
  expect(stdout).toBe("2\n");
});

test.skipIf(onWindows)(`what is closed or empty ends a command with its own status${noShell}`, async () => {
  const ways = [">&-", "2>&-", "<&-", ">&- 2>&- <&-"];
  const told = await Promise.all(
    ways.map(async (streams) => {
      const line = (words: string): string => `{ foretoken ${words} ${streams}; echo "$?"; } | tail -n 1`;
      return { streams, ...(await shell(`${line("evaluate run")}; ${line("nonsense")}`, cwd)) };
    }),
  );
  expect(told).toMatchObject(ways.map((streams) => ({ streams, stdout: "0\n2\n" })));
});

test("a bug outside of a command's own flow is one line too, and its status is the last word", async () => {
  const throwing = `process.once("beforeExit", () => { throw new Error("lost\\n".repeat(1000)); })`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(throwing)}` };
  const { status, stdout, stderr } = await cliProcess(["--version"], { cwd, env });
  expect({ status, version: stdout }).toEqual({ status: 1, version: expect.stringMatching(/^[\d.]+\n$/u) });
  expect(stderr).toMatch(/^foretoken: a bug: lost\\n[^\n]*…[^\n]*; please report it with the output of --verbose\n$/u);
  expect(stderr.trimEnd().length).toBeLessThanOrEqual(300);
});

test("a file of the program that is not there is no bug, but an installation that is not whole", async () => {
  const throwing = `process.once("beforeExit", () => import("file:///gone/small.js"))`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(throwing)}` };
  const { status, stderr } = await cliProcess(["--version"], { cwd, env });
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /^foretoken: installation: every file of foretoken must be there; got no \S*gone\Ssmall\.js; try installing foretoken again\n$/u,
  );
});
