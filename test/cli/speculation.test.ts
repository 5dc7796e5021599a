import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeChatModel } from "../support/chats.ts";
import { writePlainModel } from "../support/openai-server.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writePlainModel(join(cwd, "model"), 1);
  await writePlainModel(join(cwd, "small"), 2);
  await writeChatModel(join(cwd, "other"));
  await writeFile(join(cwd, "prompts.jsonl"), '"the cat sat on the cat sat"\n"the hat"\n');
  await writeFile(join(cwd, "lines.txt"), "the cat sat on the cat sat\n");
});

afterAll(() => remove());

test("--speculate writes the same text, and tells programs how many guesses came true", async () => {
  const ways = [
    ["--prompt", "the cat sat on the cat sat", "--json"],
    ["--prompts", "prompts.jsonl"],
    ["--interactive", "--json"],
  ];
  for (const way of ways) {
    const stdin = way.includes("--interactive") ? { input: "the cat sat on the cat sat\n" } : {};
    const run = async (...flags: string[]) => {
      const args = ["generate", "model", "--backend", "wasm", "--max-new-tokens", "30", "--temperature", "0"];
      const { stdout, status } = await cli([...args, ...way, ...flags], { cwd, ...stdin });
      expect(status).toBe(0);
      return jsonLines(stdout);
    };
    const plain = await run();
    for (const speculate of ["ngram", "small"]) {
      const lines = await run("--speculate", speculate);
      expect(lines.map(({ text }) => text)).toEqual(plain.map(({ text }) => text));
      if (way.includes("--prompts")) continue;
      expect(lines.at(-1)?.guesses).toEqual({ guessed: expect.any(Number), accepted: expect.any(Number) });
    }
  }
});

test.each([
  [["--speculate", "missing"], "missing"],
  [["--speculate", "other"], "--speculate: the draft model must have the same tokenizer as the model"],
  [["--speculate", "ngram", "--no-cache"], "--no-cache: cannot be used with --speculate"],
  [["--speculate", "ngram", "--beams", "2"], "--speculate: cannot be used with --beams"],
] as const)("generate %j is refused in one line", async (flags, says) => {
  const { status, stderr } = await cli(["generate", "model", "--backend", "wasm", ...flags], { cwd });
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(says) });
  expect(stderr.trim().split("\n")).toHaveLength(1);
});
