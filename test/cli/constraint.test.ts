import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe("generate with a form", () => {
  let cwd: string;
  let remove: () => Promise<void>;
  const schema = {
    type: "object",
    properties: { on: { type: "boolean" }, n: { type: "integer", minimum: 0, maximum: 9 } },
    required: ["on"],
    additionalProperties: false,
  };
  const generate = (...flags: string[]) =>
    cli(["generate", "run", "--backend", "reference", "--max-new-tokens", "60", "--prompt", "The", ...flags], { cwd });
  beforeAll(async () => {
    ({ cwd, remove } = await workplace());
    const bytes = ["--tokenizer.kind", "bpe", "--tokenizer.vocabSize", "258"];
    await cli(["train", ...tinyWith(...bytes), "--out", "run"], { cwd });
    await writeFile(join(cwd, "schema.json"), JSON.stringify(schema));
    await writeFile(join(cwd, "form.ebnf"), 'root ::= "(" root? ")"');
    await writeFile(join(cwd, "broken.json"), '{"maxLenght": 3}');
    await writeFile(
      join(cwd, "prompts.jsonl"),
      '"The"\n{"prompt": "It", "constraint": {"kind": "choice", "choices": ["so"]}}\n',
    );
  });
  afterAll(() => remove());

  test.each([
    [["--json-schema", "schema.json"], /^\{\s*("(on|n)": ?(true|false|\d),?\s*){1,2}\}\n$/u],
    [["--regex", "[xy]{3}é"], /^[xy]{3}é\n$/u],
    [["--choice", "so", "--choice", "no"], /^(so|no)\n$/u],
    [["--grammar", "form.ebnf"], /^\(+\)*\n$/u],
  ])("writes it: %j", async (flags, form) => {
    const { status, stdout } = await generate(...flags, "--temperature", "1");
    expect([status, stdout]).toEqual([0, expect.stringMatching(form)]);
  });

  test("writes the texts of a file of prompts, one of which has a form of its own", async () => {
    const { stdout } = await cli(
      ["generate", "run", "--backend", "reference", "--prompts", "prompts.jsonl", "--json-schema", "schema.json"],
      { cwd },
    );
    const [first, second] = jsonLines(stdout);
    expect(JSON.parse(String(first?.text))).toMatchObject({ on: expect.any(Boolean) });
    expect(second).toMatchObject({ text: "so", finishReason: "endOfText" });
  });

  test.each([
    [["--json-schema", "none.json"], /^foretoken: --json-schema: must be a file of at most 1 MiB; got none.json: /u],
    [["--json-schema", "broken.json"], /^foretoken: --json-schema broken\.json: #\/maxLenght: must be a keyword/u],
    [["--json-schema", "form.ebnf"], /^foretoken: --json-schema form.ebnf: the file must be JSON/u],
    [["--any-json", "--regex", "a"], /^foretoken: --any-json and --regex: cannot be combined: only one flag/u],
    [["--regex", "("], /^foretoken: --regex: must have a \) for the \(/u],
    [["--grammar", "schema.json"], /^foretoken: --grammar schema\.json: line 1: /u],
    [["--beams", "2", "--choice", "a"], /^foretoken: --choice: cannot be used with --beams/u],
  ])("refuses in one line: %j", async (flags, message) => {
    const { status, stdout, stderr } = await generate(...flags);
    expect([status, stdout, stderr]).toEqual([2, "", expect.stringMatching(message)]);
    expect(stderr.trimEnd()).not.toContain("\n");
  });
});
