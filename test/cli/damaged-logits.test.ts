import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelWithText } from "../support/peft.ts";
import { cli, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await modelWithText("gpt2", join(cwd, "damaged"));
  const path = join(cwd, "damaged", "model.safetensors");
  const bytes = await readFile(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { data_offsets: place } = JSON.parse(bytes.toString("utf8", 8, start))["transformer.ln_f.weight"];
  for (let at = place[0]; at < place[1]; at += 4) bytes.writeFloatLE(3e38, start + at);
  await writeFile(path, bytes);
});
afterAll(() => remove());

const generate = (...flags: readonly string[]) =>
  cli(["generate", "damaged", "--backend", "reference", "--dtype", "float32", ...flags], { cwd });
const fault = /^foretoken: .*the model's logits must be finite numbers; got -?(?:NaN|Infinity): .*\n$/mu;

test.each([[[]], [["--show-probabilities"]]])("an error after the prompt has its own line: %s", async (flags) => {
  const { status, stdout, stderr } = await generate("--prompt", "0123", ...flags);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "0123\n" });
  expect(stderr).toMatch(fault);
});

test("an error writes no line end if no line has begun", async () => {
  const { status, stdout, stderr } = await generate("--prompt", "0123", "--choice", "4");
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(fault);
});

test("an error before the first text leaves no file, and keeps a file that was there", async () => {
  await writeFile(join(cwd, "prompts.jsonl"), '"0123"\n');
  const { status, stderr } = await generate("--prompts", "prompts.jsonl", "--out", "texts.jsonl");
  expect(status).toBe(2);
  expect(stderr).toMatch(fault);
  expect(existsSync(join(cwd, "texts.jsonl"))).toBe(false);
  await writeFile(join(cwd, "texts.jsonl"), "");
  expect((await generate("--prompts", "prompts.jsonl", "--out", "texts.jsonl")).status).toBe(2);
  expect(await readFile(join(cwd, "texts.jsonl"), "utf8")).toBe("");
});
