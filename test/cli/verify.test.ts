import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { verifyMutated } from "../support/mutated-exports.ts";
import { copyAdapter, modelWithText } from "../support/peft.ts";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
const ok = async (...args: readonly string[]) => {
  const outcome = await cli(args, { cwd });
  expect(outcome.status, outcome.stderr).toBe(0);
  return outcome;
};
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await ok("train", ...tinyWith("--out", "runs/notes"));
  await ok("export", "runs/notes", "--format", "gguf", "--out", "whole.gguf");
  await ok("export", "runs/notes", "--format", "gguf", "--dtype", "q4_0", "--out", "small.gguf");
  await modelWithText("llama3", join(cwd, "base"));
  await copyAdapter("llama", join(cwd, "adapter"));
});
afterAll(() => remove());

const small = ["--backend", "reference", "--prompt-count", "3", "--max-new-tokens", "4"];

describe("verify", () => {
  test("shows one table: logits, greedy tokens, bits per byte", async () => {
    const { stdout, stderr } = await ok("verify", "runs/notes", "whole.gguf", "small.gguf", ...small);
    expect(stderr).toBe("");
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^ +largest difference +same tokens after +first differing token +bits per byte$/u);
    expect(lines[1]).toMatch(/^runs[/\\]notes +\d\.\d{4}$/u);
    expect(lines[2]).toMatch(/^whole\.gguf +0 +3 of 3 prompts +none +\d\.\d{4}$/u);
    expect(lines[3]).toMatch(
      /^small\.gguf +(?:0\.\d+|\d\.\de-\d+) +\d of 3 prompts +(?:none|prompt \d, token \d: margin \S+) +\d\.\d{4}$/u,
    );
    expect(lines[4]).toMatch(
      /^Measured on the held-out end of text\.txt, in windows of 8 tokens; the prompts come from the same part\.$/u,
    );
  });

  test("writes the same as JSON, also on another text", async () => {
    await writeFile(join(cwd, "other.txt"), "It sat. The cat had a hat.\n".repeat(30));
    const { stdout } = await ok("verify", "runs/notes", "whole.gguf", "--data", "other.txt", ...small, "--json");
    expect(jsonLines(stdout)).toMatchObject([
      {
        model: "runs/notes",
        measuredOn: "other.txt",
        forms: [{ file: "whole.gguf", largestLogit: 0, prompts: 3, sameIds: 3, sameTokens: 3, differences: [] }],
      },
    ]);
    const [{ bitsPerByte, forms } = {}] = jsonLines(stdout) as [Record<string, unknown>];
    expect((forms as readonly Record<string, unknown>[])[0]?.bitsPerByte).toBe(bitsPerByte);
  });

  test("names the line of the file that has a character which the model does not know, and what to do", async () => {
    await writeFile(join(cwd, "odd.txt"), `${"It sat.\n".repeat(99)}It sät.\n`);
    const { status, stderr } = await cli(["verify", "runs/notes", "whole.gguf", "--data", "odd.txt", ...small], {
      cwd,
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^foretoken: odd\.txt: every character must .*; got "ä" \(U\+00E4\) at .*line 100.*; try a text without this character, or a model/u,
    );
  });

  test("compares an adapter alone and merged with model and adapter, on drawn tokens where there is no text", async () => {
    await ok("export", "adapter", "--base", "base", "--format", "gguf", "--adapter-only", "--out", "lora.gguf");
    await ok("export", "adapter", "--base", "base", "--format", "gguf", "--out", "merged.gguf");
    const { stdout } = await ok("verify", "base", "--adapter", "adapter", "lora.gguf", "merged.gguf", "base", ...small);
    const lines = stdout.split("\n");
    expect(lines[2]).toMatch(/^lora\.gguf +0 +3 of 3 prompts +none$/u);
    // With merged weights, one sum is computed instead of two sums, so the last bits differ.
    expect(lines[3]).toMatch(/^merged\.gguf +(?:0|\d\.\de-[5-9]) +3 of 3 prompts +none$/u);
    expect(lines[4]).toMatch(/^base +\d+\.\d+ /u);
    expect(lines.at(-2)).toBe("No text was measured: the prompts are random tokens.");
  });

  test("gives a line for a damaged file, measures the others, and ends with status 2", async () => {
    const bytes = await readFile(join(cwd, "whole.gguf"));
    await writeFile(join(cwd, "cut.gguf"), bytes.subarray(0, bytes.length - 100));
    const { status, stdout, stderr } = await cli(["verify", "runs/notes", "cut.gguf", "whole.gguf", "base", ...small], {
      cwd,
    });
    expect(status).toBe(2);
    expect(stdout).toMatch(/^whole\.gguf +0 /mu);
    expect(stdout).not.toMatch(/^cut\.gguf/mu);
    expect(stderr.trim().split("\n").slice(-2)).toEqual([
      expect.stringMatching(/^foretoken: cut\.gguf: tensor .* must end within the file/u),
      expect.stringMatching(
        /^foretoken: base: both models must have the same tokens; got vocabularies of \d+ and 61$/u,
      ),
    ]);
    const json = await cli(["verify", "runs/notes", "cut.gguf", ...small, "--json"], { cwd });
    expect(jsonLines(json.stdout)).toMatchObject([
      { forms: [{ file: "cut.gguf", error: expect.stringMatching(/cut\.gguf/u) }] },
    ]);
  });

  test("tells of another tokenizer and another chat template in a line and by status 1, and compares the weights", async () => {
    const drawn = ["--prompt-count", "2", "--max-new-tokens", "2", "--backend", "reference"];
    await ok("export", "base", "--format", "gguf", "--out", "base.gguf");
    expect((await ok("verify", "base", "base.gguf", ...drawn)).stdout).toContain("none\nNo text was measured");
    await modelWithText("llama3", join(cwd, "changed"));
    await writeFile(join(cwd, "changed/chat_template.jinja"), "{{ messages }}");
    await ok("export", "changed", "--format", "gguf", "--out", "talking.gguf");
    await rm(join(cwd, "changed/chat_template.jinja"));
    const json = JSON.parse(await readFile(join(cwd, "changed/tokenizer.json"), "utf8"));
    const { a, b } = json.model.vocab;
    Object.assign(json.model.vocab, { a: b, b: a });
    await writeFile(join(cwd, "changed/tokenizer.json"), JSON.stringify(json));
    await ok("export", "changed", "--format", "gguf", "--out", "swapped.gguf");
    const { status, stdout, stderr } = await cli(["verify", "base", "swapped.gguf", "talking.gguf", ...drawn], { cwd });
    expect(status, stderr).toBe(1);
    const lines = stdout.trimEnd().split("\n");
    expect(lines[2]).toMatch(/^swapped\.gguf +0 +2 of 2 prompts +none$/u);
    expect(lines.slice(4)).toEqual([
      `swapped.gguf: token ${a} is "b"; in the model: "a"`,
      "talking.gguf: it has a chat template; the model has no chat template",
      "No text was measured: the prompts are random tokens.",
    ]);
    const listed = await cli(["verify", "base", "swapped.gguf", "base.gguf", ...drawn, "--json"], { cwd });
    expect(listed.status).toBe(1);
    expect(jsonLines(listed.stdout)).toMatchObject([
      { forms: [{ largestLogit: 0, textDifference: { kind: "token", id: a } }, { textDifference: null }] },
    ]);
  });

  test("finds the tokenizer of bytes without an end of text again in its GGUF file, and in a directory of that", async () => {
    await ok("train", ...tinyWith("--out", "bytes", "--tokenizer", "bpe", "--tokenizer.vocabSize", "270"));
    await ok("export", "bytes", "--format", "gguf", "--out", "bytes.gguf");
    await ok("export", "bytes.gguf", "--format", "hf", "--out", "bytes-hf");
    const { stdout } = await ok("verify", "bytes", "bytes.gguf", "bytes-hf", ...small, "--json");
    const same = { largestLogit: 0, textDifference: null };
    expect(jsonLines(stdout)).toMatchObject([{ forms: [same, same] }]);
    const end = JSON.parse(await readFile(join(cwd, "bytes-hf/generation_config.json"), "utf8").catch(() => "{}"));
    expect(end).not.toHaveProperty("eos_token_id");
  });

  test("gives one line or figures for damaged exports: 16 of the 500 of the slow test", async () => {
    await ok("export", "runs/notes", "--format", "hf", "--out", "folder");
    const exports = { files: ["whole.gguf", "small.gguf"], folder: "folder" };
    const { refused, different, same } = await verifyMutated(cwd, "runs/notes", exports, 16);
    expect(refused).toBeGreaterThan(4);
    expect(refused + different + same).toBe(16);
  });

  test("refuses what is missing in one line", async () => {
    const line = async (...args: readonly string[]) => (await cli(["verify", ...args], { cwd })).stderr;
    expect(await line("runs/notes")).toMatch(/^foretoken: verify: <file> must be given; got nothing;/u);
    await writeFile(join(cwd, "chat.jsonl"), '{"text": "It sat."}\n');
    expect(await line("runs/notes", "whole.gguf", "--data", "chat.jsonl")).toBe(
      "foretoken: --data: must be a text; got documents; try npx foretoken evaluate FILE --against MODEL --data DOCUMENTS, or a text file\n",
    );
    expect(await line("none", "whole.gguf")).toMatch(/^foretoken: none: the path must name a model/u);
    expect(await line("runs/notes", "whole.gguf", "--prompt-count", "0")).toMatch(
      /^foretoken: --prompt-count: must be a whole number from 1 to 1000/u,
    );
  });
});
