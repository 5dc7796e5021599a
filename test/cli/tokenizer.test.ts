import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { styleIn } from "#foretoken/cli/process/terminal.js";
import { inspectionText, inspectText, tokenizerText } from "#foretoken/cli/tokenizer/inspect.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { cli, jsonLines, text, tiny, tree, workplace } from "./cli.ts";

interface Bytes {
  readonly bytes: readonly number[];
}

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const args = ["--data", "text.txt", "--vocab-size", "270", "--special-token", "<|endoftext|>", "--out", "mine"];
  const { status, stderr } = await tokenizer("train", ...args);
  expect(status, stderr).toBe(0);
});
afterAll(() => remove());

const tokenizer = (...args: readonly string[]) => cli(["tokenizer", ...args], { cwd });

describe("tokenizer train", () => {
  test("writes the two files of a tokenizer, with the tokens that the library learns", async () => {
    expect((await readdir(join(cwd, "mine"))).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    const json = JSON.parse(await readFile(join(cwd, "mine/tokenizer.json"), "utf8"));
    const expected = trainBpeTokenizer({ vocabSize: 270, specialTokens: ["<|endoftext|>"] }, text);
    expect(json).toEqual(JSON.parse(JSON.stringify(expected)));
    expect((await loadTokenizer(json)).vocabSize).toBe(270);
  });

  test("says how many tokens it learned, what to do next, and where a text has too few pairs", async () => {
    const { stdout, stderr, status } = await tokenizer(
      "train",
      "--data",
      "text.txt",
      "--vocab-size",
      "999",
      "--out",
      "b",
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+ tokens, learned from 3\.0 KiB in [\d.]+ s$/mu);
    expect(stdout).toContain('npx foretoken tokenizer inspect b "How does this split?"');
    expect(stderr).toMatch(
      /^no other pair of tokens occurs twice in the text, so there are only \d+ tokens instead of 999\n$/u,
    );
  });

  test("takes several texts and another pattern, and writes nothing but JSON if asked", async () => {
    await writeFile(join(cwd, "other.txt"), "dogs and dogs and dogs");
    const args = [
      "--data",
      "text.txt",
      "--data",
      "other.txt",
      "--pattern",
      "gpt4",
      "--vocab-size",
      "260",
      "--out",
      "c",
    ];
    const { stdout } = await tokenizer("train", ...args, "--json");
    expect(jsonLines(stdout)).toMatchObject([
      { kind: "bpe", vocabSize: 260, pattern: "gpt4", merges: 4, specialTokens: [], out: "c", bytes: text.length + 22 },
    ]);
  });

  test.each<[string, readonly string[], string]>([
    ["a folder that is taken", ["--data", "text.txt", "--out", "mine"], "--out mine: must be a new or empty folder"],
    ["a vocabulary without room for the bytes", ["--data", "text.txt", "--vocab-size", "99", "--out", "x"], "from 256"],
    ["no text", ["--out", "x"], "--data must be given; got none; try --data FILE"],
    ["no folder", ["--data", "text.txt"], "--out must be given; got none; try --out FOLDER"],
    ["a text that is not there", ["--data", "gone.txt", "--out", "x"], "gone.txt: the file must exist"],
    ["a text without a flag", ["text.txt"], 'accepts only flags; got "text.txt"; try --data text.txt'],
    ["an unknown pattern", ["--data", "text.txt", "--pattern", "gpt9", "--out", "x"], 'got "gpt9"; try gpt'],
  ])("refuses %s in one line, and writes nothing", async (_, args, message) => {
    const before = tree(cwd);
    const { stdout, stderr, status } = await tokenizer("train", ...args);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
    expect(stderr).toMatch(/^foretoken: [^\n]*\n$/u);
    expect(stderr).toContain(message);
    expect(tree(cwd)).toEqual(before);
  });
});

describe("tokenizer inspect", () => {
  test("shows tokens with a rule between them, ids and means, without colours in a pipe", async () => {
    const { stdout, status } = await tokenizer("inspect", "mine", "The cat é");
    expect(status).toBe(0);
    expect(stdout).not.toContain("\u001b");
    const [row = ""] = stdout.split("\n");
    expect(row.replaceAll("│", "")).toBe("The cat <c3><a9>");
    expect(stdout).toMatch(/^ids: [\d ]+$/mu);
    expect(stdout).toMatch(/^tokens {6}\d+\ncharacters {2}9, [\d.]+ per token\nbytes {7}10, [\d.]+ per token$/mu);
  });

  test("as JSON, tokens join to the text's bytes", async () => {
    const { stdout } = await tokenizer("inspect", "mine", "--file", "text.txt", "--json");
    const [inspection] = jsonLines(stdout);
    const tokens = (inspection as { readonly tokens: readonly Bytes[] } | undefined)?.tokens ?? [];
    expect(Buffer.from(tokens.flatMap(({ bytes }) => bytes)).toString()).toBe(text);
    expect(inspection).toMatchObject({ count: tokens.length, characters: text.length, bytes: text.length });
  });

  test("without a text it says what the tokenizer is, also of a run", async () => {
    const { stdout } = await tokenizer("inspect", "mine/tokenizer.json");
    expect(stdout).toBe(
      "kind        bpe\ntokens      270\nmerges      13\npattern     gpt2\nspecial     <|endoftext|> (269)\n",
    );
    const { status, stderr } = await cli(["train", ...tiny, "--stop-at", "1", "--out", "run"], { cwd });
    expect(status, stderr).toBe(0);
    expect(jsonLines((await tokenizer("inspect", "run", "--json")).stdout)).toMatchObject([{ kind: "char" }]);
  });

  test("FORCE_COLOR alternates two backgrounds and keeps the rules; NO_COLOR has none", () => {
    const tokens = trainBpeTokenizer({ vocabSize: 270 }, text);
    const inspection = inspectText(tokens, "The cat", "text");
    const surroundings = { platform: "linux", isTerminal: true } as const;
    const shown = inspectionText(inspection, 80, styleIn({ ...surroundings, env: { LANG: "C.UTF-8" } }));
    expect(shown).toContain("\u001b[44m");
    expect(shown).toContain("\u001b[45m");
    expect(shown.split("│")).toHaveLength(inspection.count + 1);
    const plain = inspectionText(inspection, 80, styleIn({ ...surroundings, env: { NO_COLOR: "1" } }));
    expect(plain).toMatch(/^[ -~\n]*$/u);
    expect(plain.split("|")).toHaveLength(inspection.count + 1);
  });

  test("no line is wider than a narrow terminal, and an empty text has no ids", () => {
    const specialTokens = Array.from({ length: 20 }, (_, i) => `<|special_${i}|>`);
    const tokens = trainBpeTokenizer({ vocabSize: 300, specialTokens }, text);
    const style = styleIn({ platform: "linux", isTerminal: true, env: { NO_COLOR: "1" } });
    const facts = tokenizerText(tokens, 44);
    const lines = `${inspectionText(inspectText(tokens, text, "text"), 44, style)}${facts}`.split("\n");
    expect(lines.filter((line) => line.length > 44)).toEqual([]);
    expect(facts).toContain("<|special_7|> (283)");
    expect(facts.replaceAll(/\s+/gu, " ")).toContain("12 more");
    expect(inspectionText(inspectText(tokens, "", "text"), 44, style)).not.toContain("ids");
  });

  test.each<[string, readonly string[], string]>([
    ["no tokenizer", [], "must have a tokenizer"],
    ["nothing there", ["gone"], "gone: must be a tokenizer.json, a .gguf file, or a folder with a tokenizer.json"],
    ["a file that is no JSON", ["text.txt"], "text.txt: "],
    ["two texts", ["mine", "text", "--file", "text.txt"], "must have one text; got a text and --file"],
  ])("refuses %s in one line", async (_, args, message) => {
    const { stdout, stderr, status } = await tokenizer("inspect", ...args);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
    expect(stderr).toMatch(/^foretoken: [^\n]*\n$/u);
    expect(stderr).toContain(message);
  });
});
