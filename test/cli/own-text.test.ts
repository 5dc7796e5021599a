import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { train } from "#foretoken/train/train.node.js";
import { cli, jsonLines, tiny, tinyWith, withFlags, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writeFile(join(cwd, "My notes (2).txt"), "the cat sat on the mat and the dog sat on the log. ".repeat(40));
});
afterAll(() => remove());

const short = ["--stop-at", "1", "--backend", "reference"];

test("a text of one's own decides what its user does not set, and the head says so", async () => {
  const args = ["train", "--data", "My notes (2).txt", "--model.dropout", "0.05", ...short];
  const { stdout, stderr, status } = await cli(args, { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^model .*2 layers/mu);
  expect(stdout).toMatch(/^plan .* passes over the text/mu);
  const row = /^by size.*$/mu.exec(stdout)?.[0] ?? "";
  expect(row).toContain("patience 3");
  expect(row).not.toContain("dropout");
  // The folder has the name of the text, not the name of a preset.
  expect(stdout).toMatch(/^run {8}runs\/[\d-]+-My-notes-2$/mu);
});

test.each([
  ["quick", /^[\d-]+-My-notes-2-quick$/u],
  // The name of the default preset is the name of an author. For another text it would be misleading.
  ["shakespeare", /^[\d-]+-My-notes-2$/u],
])("a run's folder is named after its text: preset %s", async (preset, expected) => {
  // This command has its own folder. Otherwise, two runs with the same name in the same second would get a number.
  const own = join(cwd, `of-${preset}`);
  await mkdir(own);
  const args = withFlags(tiny, ["--eval-interval", "6", "--json", "--stop-at", "1", "--verbose"]).slice(2);
  const named = ["--data", join(cwd, "My notes (2).txt"), "--preset", preset];
  const [start] = jsonLines((await cli(["train", ...named, ...args], { cwd: own })).stdout);
  expect(basename(String(start?.out))).toMatch(expected);
});

test("a run that is to write no texts writes none at the end either", async () => {
  const kinds = async (...flags: readonly string[]): Promise<readonly unknown[]> => {
    const { status, stdout, stderr } = await cli(["train", ...tinyWith(...flags, "--json")], { cwd });
    expect(status, stderr).toBe(0);
    return jsonLines(stdout).map(({ type }) => type);
  };
  expect(await kinds("--out", "wordy")).toContain("sample");
  expect(await kinds("--out", "silent", "--train.sampleTokens", "0")).not.toContain("sample");
  await writeFile(join(cwd, "silent.json"), JSON.stringify({ train: { sampleTokens: 0 } }));
  const none = withFlags(tiny, ["--out", "filed", "--config", "silent.json", "--json"]);
  const at = none.indexOf("--train.sampleTokens");
  const { stdout } = await cli(["train", ...none.toSpliced(at, 2)], { cwd });
  const filed = jsonLines(stdout).map(({ type }) => type);
  expect(filed).toContain("done");
  expect(filed).not.toContain("sample");
});

test("evaluate calls a text that a run keeps in its folder by the name that it was given", async () => {
  const text = "the cat sat on the mat. ".repeat(40);
  const config = { model: { nLayer: 1, nEmbd: 8, nHead: 2, contextLength: 8 }, train: { steps: 1, sampleTokens: 0 } };
  const named = { text, dataName: "letters.txt", out: join(cwd, "named"), finalSampleTokens: 0 };
  for await (const _ of train({ ...named, config, backend: "reference" }));
  const { stdout, stderr } = await cli(["evaluate", "named", "--backend", "reference"], { cwd });
  expect(stdout, stderr).toMatch(/^measured on +letters\.txt, the part that was held out, in windows of 8 tokens$/mu);
});

test("a first run without a network is named after the text that it learns from", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new Error("offline")));
  vi.stubEnv("XDG_CACHE_HOME", join(cwd, "cache"));
  vi.stubEnv("FORETOKEN_CORPORA", undefined);
  const before = process.cwd();
  process.chdir(cwd);
  try {
    for await (const event of train({ config: { model: { nLayer: 1, nEmbd: 16, nHead: 2 } }, backend: "reference" })) {
      expect(event).toMatchObject({ type: "start", corpus: "moby-dick", out: expect.stringMatching(/-moby-dick$/u) });
      break;
    }
  } finally {
    process.chdir(before);
  }
});

test("a preset, and the text that comes with the program, decide nothing by size", async () => {
  const args = ["train", "--data", "My notes (2).txt", "--preset", "quick", "--out", "quick", "--json", ...short];
  const events = jsonLines((await cli(args, { cwd })).stdout);
  expect(events[0]).toMatchObject({ type: "start", derived: [], config: { train: { steps: 1600 } } });
  expect(JSON.parse(await readFile(join(cwd, "quick/run.json"), "utf8"))).toMatchObject({
    config: { train: { steps: 1600 } },
  });
});

test("a file of changes is laid over the defaults of the text", async () => {
  await writeFile(join(cwd, "small.json"), JSON.stringify({ model: { nEmbd: 32 }, train: { steps: 20 } }));
  const args = ["train", "--data", "My notes (2).txt", "--config", "small.json", "--seed", "3", "--out", "file"];
  const [start] = jsonLines((await cli([...args, "--json", ...short], { cwd })).stdout);
  expect(start).toMatchObject({ config: { model: { nEmbd: 32, nHead: 1 }, train: { steps: 20, seed: 3 } } });
});

test("a value that does not fit the text's sizes is named by its flag", async () => {
  const args = ["train", "--data", "My notes (2).txt", "--model.nHead", "5", "--out", "none"];
  const { stderr, status } = await cli(args, { cwd });
  expect(status).toBe(2);
  expect(stderr).toMatch(/model\.nEmbd: must be divisible by nHead; got \d+ and 5/u);
});
