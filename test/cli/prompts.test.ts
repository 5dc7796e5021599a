import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, jsonLines, tiny, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe("generate --prompts", () => {
  let cwd: string;
  let remove: () => Promise<void>;
  const given = [
    ...Array.from({ length: 12 }, (_, i) => `It sat ${"so ".repeat(i % 4)}`.trimEnd()),
    { prompt: "The", seed: 5, maxNewTokens: 3, id: "b" },
    { prompt: [0, 1, 2], stop: ["a"] },
  ];
  const generate = (...flags: string[]) =>
    cli(["generate", "run", "--backend", "wasm", "--max-new-tokens", "9", "--prompts", "prompts.jsonl", ...flags], {
      cwd,
    });
  const out = (name = "texts.jsonl"): string => join(cwd, name);
  beforeAll(async () => {
    ({ cwd, remove } = await workplace());
    await cli(["train", ...tiny, "--out", "run"], { cwd });
    await writeFile(join(cwd, "prompts.jsonl"), `${given.map((one) => JSON.stringify(one)).join("\n\n")}\n`);
  });
  afterAll(() => remove());

  test("writes a text for each line, the one that generate gives the prompt", async () => {
    const { status, stderr } = await generate("--out", "texts.jsonl");
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringMatching(
        /^9 new tokens do not fit into the context of 8; each token beyond the context takes much longer. --max-new-tokens 4 is faster\n14 texts, [\d,]+ tokens in .*tokens\/s\n$/u,
      ),
    });
    const lines = jsonLines(await readFile(out(), "utf8"));
    expect(lines.map(({ index }) => index)).toEqual(given.map((_, i) => i));
    for (const i of [0, 3]) {
      const alone = ["generate", "run", "--backend", "wasm", "--max-new-tokens", "9", "--json"];
      const events = jsonLines((await cli([...alone, "--prompt", String(given[i])], { cwd })).stdout);
      const { text, finishReason, promptTokens, newTokens } = events.at(-1) ?? {};
      expect(lines[i]).toEqual({ index: i, prompt: given[i], text, finishReason, promptTokens, newTokens });
    }
    expect(lines[12]).toMatchObject({ id: "b", prompt: "The", newTokens: 3 });
    expect(String(lines[13]?.text)).not.toContain("a");
    const printed = await generate();
    expect(printed.stdout).toBe(await readFile(out(), "utf8"));
    expect((await readdir(cwd)).sort()).toEqual(["prompts.jsonl", "run", "text.txt", "texts.jsonl"]);
  });

  test("goes on with what is there, after half a line too, and does nothing where all is there", async () => {
    const whole = await readFile(out(), "utf8");
    for (const bytes of [1, 200, whole.indexOf("\n") + 1, whole.length - 1]) {
      await writeFile(out("part.jsonl"), whole);
      await truncate(out("part.jsonl"), bytes);
      const { status, stderr } = await generate("--out", "part.jsonl");
      expect({ bytes, status }).toEqual({ bytes, status: 0 });
      const lines = whole.slice(0, bytes).split("\n").length - 1;
      if (lines > 0) expect(stderr).toContain(`part.jsonl has ${lines} of 14 texts: continuing`);
      expect(await readFile(out("part.jsonl"), "utf8")).toBe(whole);
    }
    expect(await generate("--out", "part.jsonl")).toMatchObject({
      status: 0,
      stderr: "all 14 texts are in part.jsonl already\n",
    });
    const other = await generate("--out", "part.jsonl", "--seed", "9");
    expect(other).toMatchObject({ status: 2, stderr: expect.stringMatching(/whose text \d+ differs/u) });
  });

  test("changes no file with anything else, nor one of other settings or prompts", async () => {
    const whole = await readFile(out(), "utf8");
    const two = whole.split("\n").slice(0, 2).join("\n");
    const others = {
      "a note": "line 1",
      "a line\n": "line 1",
      [`${two}\nand`]: "line 3",
      [`${two.replaceAll("sat", "cat")}\n`]: "line 1",
      // Without a newline at the end, as in the file of a command that was killed.
      '{"index":0,"name":"mine"}': "line 1",
      [`${two}\n{"index":2,"prompt":"no such prompt","text":"`]: "line 3",
      [`${whole}{`]: "line 15",
    };
    for (const [text, place] of Object.entries(others)) {
      await writeFile(out("mine.jsonl"), text);
      const { status, stderr } = await generate("--out", "mine.jsonl");
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: expect.stringContaining(`mine.jsonl: ${place} is not a text of prompt `),
      });
      expect(await readFile(out("mine.jsonl"), "utf8")).toBe(text);
    }
    await writeFile(out("mine.jsonl"), `${two}\n`);
    const { status, stderr } = await generate("--out", "mine.jsonl", "--seed", "9");
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/whose text \d differs/u) });
    expect(await readFile(out("mine.jsonl"), "utf8")).toBe(`${two}\n`);
  });

  test.each([
    ['"The', 'line 1: each line must be JSON, such as "a text"'],
    ['"The"\n{"text": "a"}', "line 2: each line must be JSON"],
    ['{"prompt": "The", "sed": 1}', "got sed; try seed"],
    ['{"prompt": "The", "seed": -1}', "line 1: generate.seed: must be at least 0"],
    ['"The"\n"É"', "line 2: prompt: every character must be one of the 17"],
    ['"The"\n[1, 17]', "line 2: prompt: token ids must be below 17; got 17"],
    ['{"prompt": "The", "adapter": "x"}', "line 1: adapter"],
    [
      '{"prompt": "The", "slide": 32}',
      "line 1: generate: slide: needs a context of at least 96 tokens; got 32 with a context of 8 tokens; try 0",
    ],
    ['""', "line 1: generate: the prompt must have at least one token"],
    ["\n\n", "must be a file with one prompt on each line; got bad.jsonl: empty lines"],
    ["", "must be a file with one prompt on each line; got bad.jsonl: an empty file"],
  ])("says which line is none: %j", async (text, message) => {
    await writeFile(join(cwd, "bad.jsonl"), text);
    const { status, stderr, stdout } = await cli(
      ["generate", "run", "--prompts", "bad.jsonl", "--out", "bad-out.jsonl"],
      { cwd },
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(await readdir(cwd)).not.toContain("bad-out.jsonl");
  });

  test("says which file is not there", async () => {
    const { stderr } = await cli(["generate", "run", "--prompts", "none.jsonl"], { cwd });
    expect(stderr).toContain("got none.jsonl: no such file");
    const choices = await cli(["evaluate", "run", "--choices", "none.jsonl"], { cwd });
    expect(choices.stderr).toContain("got none.jsonl: no such file");
  });

  test("makes no file where the context is too small for --slide", async () => {
    const { status, stderr } = await generate("--out", "slid.jsonl", "--slide", "32");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "foretoken: --slide: needs a context of at least 96 tokens; got 32 with a context of 8 tokens; try 0\n",
    });
    expect(await readdir(cwd)).not.toContain("slid.jsonl");
  });

  test("does not go with flags of a single text", async () => {
    expect((await generate("--prompt", "a")).stderr).toContain("--prompt: cannot be used with --prompts");
    expect((await generate("--no-cache")).stderr).toContain("--no-cache: cannot be used with --prompts");
    const { stderr } = await cli(["generate", "run", "--out", "x"], { cwd });
    expect(stderr).toContain("--out: needs --prompts");
  });
});
