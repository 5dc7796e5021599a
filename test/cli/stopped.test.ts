import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { copyAdapter, modelWithText } from "../support/peft.ts";
import { cli, tree, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await modelWithText("llama3", join(cwd, "base"));
  await copyAdapter("llama", join(cwd, "adapter"));
  await cli(["quantize", "base", "--out", "old.gguf"], { cwd });
  await writeFile(join(cwd, "text.txt"), "0123456789:;<=>".repeat(60));
});
afterAll(() => remove());

/** Executes a command, and sends SIGINT after its first notice: the notice about a model without a manifest. */
const stopped = (args: readonly string[]) => {
  let sent = false;
  const onNotice = (_: string, kill: (signal: NodeJS.Signals) => void): void => {
    if (!sent) kill("SIGINT");
    sent = true;
  };
  return cli(args, { cwd, onNotice });
};

const lastLine = (text: string): string | undefined => text.trimEnd().split("\n").at(-1);

test.for([
  ["quantize", "base", "--to", "q4_0"],
  ["quantize", "base", "--to", "q4_0", "--out", "old.gguf", "--overwrite"],
  ["export", "base", "--format", "gguf"],
  ["export", "base", "--format", "hf"],
  ["export", "base", "--format", "onnx"],
  ["merge", "adapter", "--base", "base", "--out", "merged"],
])("%j stopped by Ctrl-C says so in a line and writes nothing", async (args) => {
  const old = await readFile(join(cwd, "old.gguf"));
  const before = tree(cwd);
  const { status, stdout, stderr } = await stopped(args);
  expect({ status, stdout, last: lastLine(stderr) }).toEqual({
    status: 130,
    stdout: "",
    last: "stopped: nothing was written",
  });
  expect(tree(cwd)).toEqual(before);
  expect((await readFile(join(cwd, "old.gguf"))).equals(old)).toBe(true);
});

test("verify stopped by Ctrl-C says so", async () => {
  const { status, stdout, stderr } = await stopped(["verify", "base", "old.gguf", "--backend", "reference"]);
  expect({ status, stdout, last: lastLine(stderr) }).toEqual({
    status: 130,
    stdout: "",
    last: "stopped: the comparison is not complete",
  });
});
