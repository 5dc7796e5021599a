import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { host } from "#foretoken/cli/process/host.js";
import { runProgram } from "#foretoken/cli/program.js";
import type { Outcome } from "../../outcome-of.ts";
import { cli, jsonLines, onWindows, proposedWords, shell, tiny, tinyWith, tree, workplace } from "../cli.ts";
import { onHost } from "../in-process.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const noShell = onWindows ? " (Windows has no POSIX shell)" : "";

let cwd: string;
let remove: () => Promise<void>;
let json: Outcome;
let plain: Outcome;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  [json, plain] = await Promise.all([
    cli(["train", ...tiny, "--out", "json", "--json"], { cwd }),
    cli(["train", ...tiny, "--out", "plain"], { cwd, env: { FORCE_COLOR: "1", CI: "true" } }),
  ]);
});

afterAll(() => remove());

test("train --json writes nothing but the run's events, in order", () => {
  expect(json).toMatchObject({ status: 0, stderr: "" });
  const events = jsonLines(json.stdout);
  expect(events.map(({ type, step }) => `${String(type)} ${String(step)}`)).toEqual([
    ...["start 0", "step 1", "step 2", "eval 2", "sample 2", "step 3", "checkpoint 3", "step 4", "eval 4", "sample 4"],
    ...["step 5", "step 6", "eval 6", "sample 6", "checkpoint 6", "done 6"],
  ]);
  expect(events.every(({ v }) => v === 1)).toBe(true);
  expect(events.find(({ type }) => type === "checkpoint")).toMatchObject({ path: join("json", "checkpoint") });
});

test("the folder keeps the same events", () => {
  expect(readFileSync(join(cwd, "json", "metrics.jsonl"), "utf8")).toBe(json.stdout);
});

test("in a pipe train writes plain lines, without escape codes whatever the environment asks for", () => {
  expect(plain).toMatchObject({ status: 0, stderr: "" });
  expect(plain.stdout).not.toContain("\u001b");
  for (const words of [
    "untrained ≈ ln 17 = 2.83",
    "step 6/6",
    "bits/byte",
    `checkpoint ${join("plain", "checkpoint")}`,
    "perplexity",
    "6 steps of 2 × 8 = 16 tokens",
  ]) {
    expect(plain.stdout).toContain(words);
  }
  expect(plain.stdout).toMatch(/^memory +[\d.]+ [MG]iB of [\d.]+ [MG]iB free · weights /mu);
});

test("train --no-memory-check is for new and for resumed runs", async () => {
  const flags = ["--no-memory-check", "--stop-at", "2", "--json"];
  const begun = await cli(["train", ...tiny, ...flags, "--out", "unchecked"], { cwd });
  expect(begun.status).toBe(0);
  const [start] = jsonLines(begun.stdout);
  expect(start?.availableMemory).toBeGreaterThan(0);
  const resumed = await cli(["train", "--resume", "unchecked", "--no-memory-check", "--json"], { cwd });
  expect(resumed.status).toBe(0);
  expect(jsonLines(resumed.stdout).at(-1)).toMatchObject({ type: "done", step: 6, reason: "finished" });
});

test("train --profile tells before the end where the time went, as lines and as an event", async () => {
  const [lines, events] = await Promise.all([
    cli(["train", ...tiny, "--out", "profiled", "--profile"], { cwd }),
    cli(["train", ...tiny, "--out", "profiled-json", "--profile", "--json"], { cwd }),
  ]);
  expect(lines).toMatchObject({ status: 0, stderr: "" });
  expect(lines.stdout).toMatch(/^kernel +time +share +calls +rate +bytes$/mu);
  expect(lines.stdout).toMatch(/^linearForward +[\d.]+ m?s +[\d.]+% +[\d,]+ +[\d.,]+ GFLOP\/s +[\d.]+ [KMG]iB$/mu);
  expect(lines.stdout).toMatch(/^outside kernels +[\d.]+ m?s +[\d.]+%$/mu);
  expect(lines.stdout.indexOf("outside kernels")).toBeLessThan(lines.stdout.indexOf("Done: 6 steps"));
  const types = jsonLines(events.stdout).map(({ type }) => type);
  expect(types.slice(-2)).toEqual(["profile", "done"]);
  expect(readFileSync(join(cwd, "profiled-json", "metrics.jsonl"), "utf8")).not.toContain(`"type":"profile"`);
});

test("train says after its first steps how long it will take, and is in ASCII alone where the locale is", async () => {
  const args = ["train", ...tinyWith("--steps", "20", "--eval-interval", "10"), "--out", "timed"];
  const { status, stdout } = await cli(args, { cwd, env: { LC_ALL: "C" } });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^time +~ \d+:\d\d to the end - [\d.]+ m?s a step - [\d,]+ tokens\/s - by 5 steps$/mu);
  expect(stdout).toMatch(/^[\n -~]+$/u);
});

test("runs lists the runs, in either order, and names what is none", async () => {
  const [shown, told, bare] = await Promise.all([
    cli(["runs", "."], { cwd }),
    cli(["runs", ".", "--sort", "loss", "--json"], { cwd }),
    cli(["runs"], { cwd }),
  ]);
  expect(shown.status).toBe(0);
  const [titles, ...lines] = shown.stdout.trimEnd().split("\n");
  expect(titles).toMatch(/^run +begun +model +text +steps +best loss +state$/u);
  expect(lines.map((line) => line.split(/ +/u)[0])).toEqual(expect.arrayContaining(["json", "plain"]));
  for (const line of lines) expect(line).toMatch(/ text\.txt +[\d,]+\/[\d,]+ +\d\.\d{3} at \d+ {2}finished$/u);
  const losses = jsonLines(told.stdout).map(({ best }) => (best as { valLoss: number }).valLoss);
  expect(losses.length).toBe(lines.length);
  expect([...losses].sort((a, b) => a - b)).toEqual(losses);
  expect(bare).toEqual({
    status: 0,
    stdout: "",
    stderr: "no runs yet: there is no folder runs; try npx foretoken train\n",
  });
});

test.skipIf(onWindows)(`the next commands can be copied${noShell}`, async () => {
  const commands = plain.stdout.split("\n").filter((line) => line.startsWith("  npx foretoken "));
  expect(commands.map((command) => command.split(" ")[4])).toEqual(["generate", "evaluate", "train", "studio"]);
  const generated = await shell(String(commands[0]).replace("npx foretoken", "foretoken"), cwd);
  expect(generated.status).toBe(0);
  expect(generated.stderr).toMatch(/^(backend [^\n]+\n)?$/u);
  expect(generated.stdout).toMatch(/^The/u);
  const longer = await cli([...proposedWords(String(commands[2])), "--json"], { cwd });
  expect(jsonLines(longer.stdout).at(-1)).toMatchObject({ type: "done", step: 12 });
});

test("generate writes the prompt and the text of the token events", async () => {
  const args = ["generate", "json", "--prompt", "The cat\\n", "--max-new-tokens", "30", "--backend", "reference"];
  const [shown, told] = await Promise.all([cli(args, { cwd }), cli([...args, "--json"], { cwd })]);
  const events = jsonLines(told.stdout);
  const done = events.at(-1);
  expect(done).toMatchObject({ type: "done", finishReason: "length", newTokens: 30, promptTokens: 8 });
  expect(
    events
      .filter(({ type }) => type === "token")
      .map(({ text }) => text)
      .join(""),
  ).toBe(done?.text);
  expect(shown).toMatchObject({ status: 0, stderr: "", stdout: `The cat\n${String(done?.text)}\n` });
});

/** An event without the fields that depend on the time. */
const timeless = ({ seconds: _, tokensPerSecond: __, ...event }: Record<string, unknown>) => event;

describe("the pace of a text", () => {
  const args = ["generate", "json", "--prompt", "The", "--backend", "reference", "--max-new-tokens"];
  /** Executes the command with a terminal as standard error. */
  const seen = (tokens: string, ...flags: string[]) =>
    onHost(
      () => {
        Object.assign(host.stderr, { isTTY: true });
        return runProgram([...args, tokens, ...flags]);
      },
      // The environment variables of the tests may forbid colours.
      { cwd, env: { NO_COLOR: "", FORCE_COLOR: "1" } },
    );

  test("is below it on a terminal, dim, and leaves the text in a pipe alone", async () => {
    const [shown, piped, one] = [await seen("30"), await cli([...args, "30"], { cwd }), await seen("1")];
    expect(shown.stdout).toBe(piped.stdout);
    expect(piped.stderr).toBe("");
    expect(shown.stderr).toMatch(/^\u001b\[2m30 tokens · [\d,]+ tokens\/s\u001b\[22m\n$/u);
    // A single token has no rate.
    expect(one.stderr).toBe("\u001b[2m1 token\u001b[22m\n");
  });

  test("says how many guessed tokens came true", async () => {
    const { stderr } = await seen("30", "--speculate", "ngram", "--temperature", "0");
    expect(stderr).toMatch(/ tokens\/s · \d+ of \d+ guessed tokens? accepted/u);
  });

  test("is in the last event for programs", async () => {
    const [many, one] = await Promise.all(["30", "1"].map((tokens) => cli([...args, tokens, "--json"], { cwd })));
    const done = jsonLines(many?.stdout ?? "").at(-1);
    expect(done).toMatchObject({ type: "done", newTokens: 30 });
    const { seconds, tokensPerSecond } = done as { readonly seconds: number; readonly tokensPerSecond: number };
    // The rate counts the 29 tokens after the first token. So it is at least 29 divided by the total time.
    expect(tokensPerSecond * seconds).toBeGreaterThanOrEqual(29);
    expect(jsonLines(one?.stdout ?? "").at(-1)).toMatchObject({ newTokens: 1, tokensPerSecond: null });
  });
});

test("generate ends before a stop string, with its escapes interpreted, and is the same without a cache", async () => {
  const args = [
    "generate",
    "json/checkpoint",
    "--prompt",
    "The",
    "--max-new-tokens",
    "200",
    "--json",
    "--temperature",
    "2",
  ];
  const [all, uncached] = await Promise.all([cli(args, { cwd }), cli([...args, "--no-cache"], { cwd })]);
  expect(jsonLines(uncached.stdout).map(timeless)).toEqual(jsonLines(all.stdout).map(timeless));
  const text = String(jsonLines(all.stdout).at(-1)?.text);
  const at = text.indexOf("\n");
  expect(at).toBeGreaterThan(0);
  const stopped = await cli([...args, "--stop", "zzz", "--stop", "\\n"], { cwd });
  expect(jsonLines(stopped.stdout).at(-1)).toMatchObject({ finishReason: "stop", text: text.slice(0, at) });
});

test("generate names what the model never saw, and goes on without it where told to", async () => {
  const args = ["generate", "json", "--max-new-tokens", "9", "--backend", "reference", "--prompt"];
  const [refused, skipped, known, told] = await Promise.all([
    cli([...args, "The qcaté"], { cwd }),
    cli([...args, "The qcaté", "--unknown", "skip"], { cwd }),
    cli([...args, "The cat"], { cwd }),
    cli([...args, "The qcaté", "--unknown", "skip", "--json"], { cwd }),
  ]);
  expect(refused).toMatchObject({ status: 2, stdout: "" });
  expect(refused.stderr).toMatch(
    /^foretoken: --prompt: .*; got "q" \(U\+0071\) at line 1, column 5 .*, and "é" \(U\+00E9\); try --unknown skip, or .*\n$/u,
  );
  const stderr = 'left out of the prompt: 2 characters that the model never saw: "q", "é" (U+00E9)\n';
  expect(skipped).toEqual({ status: 0, stdout: known.stdout, stderr });
  expect(told.stderr).toBe(stderr);
  expect(jsonLines(told.stdout).at(-1)).toMatchObject({ skipped: { count: 2, characters: ["q", "é"] } });
});

test("evaluate says what it left out of a text, and that its figures count the rest", async () => {
  await writeFile(join(cwd, "other.txt"), "The cat qsat on é mat.\n");
  const args = ["evaluate", "json", "--data", "other.txt", "--split", "all", "--backend", "reference"];
  const [refused, lines, told] = await Promise.all([
    cli(args, { cwd }),
    cli([...args, "--unknown", "skip"], { cwd }),
    cli([...args, "--unknown", "skip", "--json"], { cwd }),
  ]);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toMatch(/^foretoken: other\.txt: .* "q" .*line 1, column 9.*; try --unknown skip, or /u);
  expect(lines).toMatchObject({ status: 0, stderr: "" });
  expect(lines.stdout).toMatch(/^tokens +20$/mu);
  expect(lines.stdout).toMatch(/^left out: 2 characters that the model never saw: "q", "é" \(U\+00E9\)$/mu);
  expect(lines.stdout).toMatch(/^The figures are for the text without these characters/mu);
  expect(jsonLines(told.stdout)[0]).toMatchObject({ tokens: 20, skipped: { count: 2, characters: ["q", "é"] } });
});

test("evaluate gives its five figures and the windows, on the run's own text unless told otherwise", async () => {
  const [own, named, all, lines] = await Promise.all([
    cli(["evaluate", "json", "--json"], { cwd }),
    cli(["evaluate", "json/checkpoint", "--data", "text.txt", "--json"], { cwd }),
    cli(["evaluate", "json", "--split", "all", "--json"], { cwd }),
    cli(["evaluate", "json"], { cwd }),
  ]);
  const figures = jsonLines(own.stdout);
  expect(figures).toHaveLength(1);
  expect(Object.keys(figures[0] ?? {})).toEqual([
    "natsPerToken",
    "natsPerCharacter",
    "bitsPerByte",
    "perplexity",
    "tokens",
    "contextLength",
  ]);
  expect(named.stdout).toBe(own.stdout);
  expect(named.stderr).toContain("text.txt: only its last 10% was measured; to measure the whole text: --split all\n");
  expect(figures[0]).toMatchObject({ tokens: 307 });
  expect(jsonLines(all.stdout)[0]).toMatchObject({ tokens: 3071 });
  expect(lines.stdout).toMatch(/bits per byte +\d\.\d{4}\n/u);
});

test("info names the machine, every backend, and what auto takes", async () => {
  const [told, shown] = await Promise.all([cli(["info", "--json"], { cwd }), cli(["info"], { cwd })]);
  const [info] = jsonLines(told.stdout);
  expect(info).toMatchObject({
    machine: { node: process.version, runtime: `Node.js ${process.version}` },
    auto: { why: expect.stringMatching(/./u) },
  });
  for (const word of ["native", "wasm", "reference", "auto", "cpu", "memory"]) expect(shown.stdout).toContain(word);
});

test("a bad FORETOKEN_THREADS is refused, unless --threads is in its place", async () => {
  const env = { FORETOKEN_THREADS: "many" };
  const args = ["generate", "json", "--max-new-tokens", "2", "--prompt", "The"];
  const [bare, given] = [await cli(args, { cwd, env }), await cli([...args, "--threads", "1"], { cwd, env })];
  expect(bare.stderr).toMatch(/^foretoken: FORETOKEN_THREADS: must be a whole number from 1 to 256; got "many"/mu);
  expect(bare.status).toBe(2);
  expect(given).toMatchObject({ status: 0, stdout: expect.stringMatching(/^The/u) });
});

test("a backend that is missing is named with the reason", async () => {
  const env = { FORETOKEN_NO_NATIVE: "1" };
  const { stdout } = await cli(["info"], { cwd, env });
  expect(stdout).toMatch(/native +missing: .*FORETOKEN_NO_NATIVE/u);
  const { status, stderr } = await cli(["generate", "json", "--backend", "native"], { cwd, env });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^foretoken: native backend: [^\n]*\n$/u);
});

test.each([
  ["train", "--data", "text.txt", ...tiny.slice(4), "--out", "remarked", "--json"],
  ["generate", "json", "--max-new-tokens", "2"],
  ["evaluate", "json", "--json"],
])("%s says nothing of a slower backend to a user who hides the native kernels", async (...args) => {
  const { status, stdout, stderr } = await cli(args, { cwd, env: { FORETOKEN_NO_NATIVE: "1" } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).not.toContain("FORETOKEN_NO_NATIVE");
});

test.each([
  ["train", "--data", "text.txt", "--out", "never"],
  ["generate", "json"],
  ["evaluate", "json"],
])("%s refuses more threads than the reference backend has", async (...args) => {
  expect(await cli([...args, "--backend", "reference", "--threads", "2"], { cwd })).toEqual({
    status: 2,
    stdout: "",
    stderr:
      "foretoken: --threads: must be 1 with --backend reference, which has one thread; got 2; try --backend wasm\n",
  });
  expect(tree(cwd)).not.toContain("never");
});

test.skipIf(onWindows)(`a reader that goes away ends it, and what was trained is saved${noShell}`, async () => {
  const args = `train ${tinyWith("--steps", "2000000", "--train.warmupSteps", "0", "--eval-interval", "1000000").join(" ")} --out piped`;
  const trained = ["", "--json"].map(async (flags) => {
    const { stdout, stderr } = await shell(
      `foretoken ${args}${flags} ${flags} | head -n 1; echo "\${PIPESTATUS[0]}"`,
      cwd,
    );
    // The exit status is not 0. With status 0, a script would consider the run finished.
    expect(stderr).toBe(`saved; to resume: npx foretoken train --resume piped${flags}\n`);
    expect(stdout.split("\n").slice(1)).toEqual(["141", ""]);
    expect(tree(join(cwd, `piped${flags}`, "checkpoint"))).toContain("optimizer.safetensors");
  });
  const generating = shell("foretoken generate json --backend wasm --max-new-tokens 100000 | head -c 3", cwd);
  await Promise.all(trained);
  expect(await generating).toMatchObject({ stderr: "", status: 0 });
});

test("--help and --version answer on every level, with examples", async () => {
  const helps = await Promise.all([
    ...[["--help"], ["help"], [], ["help", "train"], ["train", "--help"], ["train", "--help-all"]].map((args) =>
      cli(args, { cwd }),
    ),
    ...["generate", "evaluate", "runs", "completion", "info"].map((verb) => cli([verb, "--help"], { cwd })),
  ]);
  for (const help of helps) {
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toContain("Examples:");
    if (!help.stdout.includes("foretoken completion <shell>")) expect(help.stdout).not.toMatch(/\$ foretoken/u);
  }
  expect(helps[3]?.stdout).toBe(helps[4]?.stdout);
  for (const flag of ["--model.nLayer", "--model.dropout", "--train.warmupSteps", "--learning-rate", "--stop-at"]) {
    expect(helps[5]?.stdout).toContain(flag);
  }
  const versions = await Promise.all([["--version"], ["-V"], ["version"]].map((args) => cli(args, { cwd })));
  for (const { status, stdout } of versions) {
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/u);
  }
});

test("a config file is changed by flags, and changes the preset", async () => {
  const file = { preset: "book", train: { steps: 7, optimizer: { kind: "adamw" } }, model: { nLayer: 3 } };
  await writeFile(join(cwd, "config.json"), JSON.stringify(file));
  const args = ["train", ...tiny, "--config", "config.json", "--train.seed", "9", "--json", "--out", "configured"];
  const [start] = jsonLines((await cli(args, { cwd })).stdout);
  expect(start?.config).toMatchObject({
    model: { nLayer: 1, dropout: 0.1 },
    train: { steps: 6, seed: 9, optimizer: { kind: "adamw", weightDecay: 0.01 } },
  });
});
