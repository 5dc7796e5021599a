import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeGguf } from "../support/gguf.ts";
import { ggufModel } from "../support/gguf-models.ts";
import { foreignModel } from "../support/hugging-face.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});
afterAll(() => remove());

test("info tells what a model is, for people and for programs", async () => {
  const { directory } = foreignModel("qwen3");
  const [told, shown] = await Promise.all([
    cli(["info", directory, "--json"], { cwd }),
    cli(["info", directory], { cwd }),
  ]);
  expect(jsonLines(told.stdout)).toMatchObject([
    {
      architecture: "Qwen3ForCausalLM",
      parameters: 13152,
      vocabSize: 61,
      tokenizer: null,
      dtypes: ["BF16"],
      chatTemplate: false,
      endTokens: [2, 7],
      config: { nLayer: 2, nHead: 4, nKvHead: 2, headDim: 12, contextLength: 48 },
    },
  ]);
  expect(shown.stdout).toMatch(/^parameters +13,152$/mu);
  expect(shown.stdout).toMatch(/^tokenizer +none: only token ids$/mu);
});

test("info alone says that a GGUF file has no checksums", async () => {
  await writeFile(join(cwd, "small.gguf"), writeGguf(ggufModel("llama").file));
  const about = ["--backend", "reference"];
  const [trained, shown, told, ...starts] = await Promise.all([
    cli(["train", "--init-from", "small.gguf", "--data", "text.txt", "--steps", "1", ...about], { cwd }),
    cli(["info", "small.gguf"], { cwd }),
    cli(["info", "small.gguf", "--json"], { cwd }),
    cli(["generate", "small.gguf", "--max-new-tokens", "2", ...about], { cwd }),
    cli(["evaluate", "small.gguf", "--data", "text.txt", "--split", "all", ...about], { cwd }),
  ]);
  expect(shown.stdout).toMatch(/^checked +no: a GGUF file has no checksums, so damaged .* are not noticed$/mu);
  expect(jsonLines(told.stdout)).toMatchObject([{ checked: false }]);
  for (const { status, stderr } of [shown, told, ...starts])
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(trained.stderr).toMatch(/^this model holds conversations, and the text is plain: [^\n]+\n$/u);
});

test("a command that needs text says that a model has no tokenizer", async () => {
  const { directory } = foreignModel("gpt2");
  const { status, stderr } = await cli(["generate", directory, "--prompt", "a", "--backend", "reference"], { cwd });
  expect(status).toBe(2);
  expect(stderr).toMatch(/text needs a tokenizer; got a model without a tokenizer/u);
});

test("a place without a model is refused in one line", async () => {
  const { status, stderr } = await cli(["info", "nowhere"], { cwd });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^foretoken: nowhere: the path must name a model; got no such file or folder.*\n$/u);
});
