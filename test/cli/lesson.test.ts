import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Outcome } from "../outcome-of.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});
afterAll(() => remove());

const onText = ["--data", "text.txt", "--backend", "reference"];

describe("lesson in a pipe", () => {
  it("writes plain text that ends by itself", async () => {
    const { status, stdout, stderr } = await cli(["lesson", "pairs", ...onText], { cwd });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("HELL  →  O");
    expect(stdout).not.toContain("\u001b");
    for (const line of stdout.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
  });

  it("says before a model learns it that a text is short, and names the next part as a command", async () => {
    const { stdout, stderr } = await cli(["lesson", "mask", ...onText], { cwd });
    expect(stderr).toMatch(
      /^text\.txt is short, [\d,]+ characters: the model will memorise parts of it; use a text of at least 5,000 characters to see more\n$/u,
    );
    expect(stdout).toContain(
      "\nNext:\n  # how a model writes, one character at a time\n  npx foretoken lesson generation --data text.txt\n",
    );
  });

  it("looks at the reader's own line, in ASCII where the locale has no more", async () => {
    const args = ["lesson", "pairs", "--text", "a cat\\nsat.", ...onText];
    const { stdout } = await cli(args, { cwd, env: { LC_ALL: "C" } });
    expect(stdout).toContain('Your line\n"a cat\\nsat." has 10 characters: 9 pairs.');
    expect(stdout).toMatch(/^[ -~\n]+$/u);
  });

  it("writes its pieces as JSON on demand", async () => {
    const { stdout } = await cli(["lesson", "pairs", "--json", ...onText], { cwd });
    const pieces = jsonLines(stdout);
    expect(pieces[0]).toEqual({ kind: "title", part: "pairs", text: "One text, many examples" });
    expect(pieces.map(({ kind }) => kind)).toContain("pause");
  });

  it.each([
    [["lesson", "pear"], 'part: must be pairs, loss, mask, generation or all; got "pear"; try pairs'],
    [["lesson", "genration"], 'got "genration"; try generation'],
    [["lesson", "writing"], 'got "writing"; try generation'],
    [["lesson", "pairs", "loss", ...onText], 'lesson: accepts only [part] and flags; got "loss"'],
    [
      ["lesson", "pairs", "--text", "a café", ...onText],
      '--text: every character must be one of the 17 in text.txt; got "f" (U+0066)',
    ],
    [["lesson", "pairs", "--text", "The ü", ...onText], 'got "ü" (U+00FC) at line 1, column 5 (character 5)'],
    [["lesson", "pairs", "--text", "a", ...onText], '--text: must have at least 3 characters; got "a"'],
    [["lesson", "pairs", "--text", "", ...onText], '--text: must have at least 3 characters; got ""'],
    [["lesson", "--data", "nothing-here"], "nothing-here: the file must exist"],
    [["lesson", "--seed", "-1"], "--seed: must be a whole number"],
  ])("refuses %j in one line", async (args, said) => {
    const { status, stdout, stderr } = await cli(args, { cwd });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^foretoken: [^\n]*\n$/u);
    expect(stderr).toContain(said);
  });

  it("says in its help what the parts are", async () => {
    const { stdout } = await cli(["lesson", "--help"], { cwd });
    for (const part of ["pairs", "loss", "mask", "generation"]) expect(stdout).toContain(`\n  ${part} `);
  });
});

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const hasScript = spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0;

/** Runs a lesson in a pseudo-terminal, and presses `key` at the first pause. */
const onTerminal = (key: string, env: Readonly<Record<string, string>> = {}): Promise<Omit<Outcome, "stderr">> =>
  new Promise((resolve, reject) => {
    const line = `stty cols 80 rows 30; exec "${process.execPath}" "${program}" lesson pairs ${onText.join(" ")}`;
    const child = spawn("script", ["-qec", line, "/dev/null"], {
      cwd,
      env: { ...process.env, TERM: "xterm-256color", LC_ALL: "C.UTF-8", SHELL: "/bin/sh", ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let stdout = "";
    let pressed = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (pressed || !stdout.includes("Enter: continue")) return;
      pressed = true;
      child.stdin.write(key);
    });
    child.on("error", reject).on("close", (status) => resolve({ status, stdout }));
  });

describe.skipIf(!hasScript)(
  `lesson on a terminal${hasScript ? "" : " (there is no util-linux script to make one)"}`,
  () => {
    it("waits, goes on with Enter, and ends by itself", async () => {
      const { status, stdout } = await onTerminal("\r");
      expect(status).toBe(0);
      expect(stdout).toContain("One pass gives the same");
      expect(stdout).toMatch(/\nNext:\r?\n/u);
      expect(stdout).toContain("npx foretoken lesson loss --data text.txt");
      expect(stdout).toContain("\u001b[");
    });

    it("ends with q, before what was not asked for", async () => {
      const { status, stdout } = await onTerminal("q");
      expect(status).toBe(0);
      expect(stdout).not.toContain("One pass");
    });

    it("ends with Ctrl-C, status 130 and the cursor on a line of its own", async () => {
      const { status, stdout } = await onTerminal("\u0003");
      expect(status).toBe(130);
      expect(stdout).not.toContain("One pass");
      expect(stdout.endsWith("\r\u001b[K")).toBe(true);
    });

    it("has no colours under NO_COLOR", async () => {
      const { stdout } = await onTerminal("\r", { NO_COLOR: "1" });
      expect(stdout).not.toMatch(/\u001b\[\d+m/u);
    });
  },
);
