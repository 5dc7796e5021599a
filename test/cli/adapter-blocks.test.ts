import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeGguf } from "../support/gguf.ts";
import { ggufModel } from "../support/gguf-models.ts";
import { wordsText } from "../support/runs.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writeFile(join(cwd, "wide.gguf"), writeGguf(ggufModel("qwen3").file));
  await writeFile(join(cwd, "text.txt"), wordsText("blocks", 100));
  const { status, stderr } = await cli(["quantize", "wide.gguf", "--to", "q4_0", "--out", "model.gguf"], { cwd });
  expect(status, stderr).toBe(0);
});
afterAll(() => remove());

const small = [
  "--data",
  "text.txt",
  "--steps",
  "4",
  "--batch-size",
  "2",
  "--train.sampleTokens",
  "0",
  "--learning-rate",
  "0.05",
];
const on = ["--backend", "wasm", "--threads", "1", "--json"];

const train = (out: string, ...more: readonly string[]) =>
  cli(["train", "--init-from", "model.gguf", ...small, ...on, "--out", out, ...more], { cwd });

const initFromOf = async (run: string): Promise<unknown> =>
  JSON.parse(await readFile(join(cwd, run, "run.json"), "utf8")).data.initFrom;

test("a run of adapters keeps the weights of a GGUF file in their blocks, and evaluate has its own losses", async () => {
  const { status, stderr, stdout } = await train("kept", "--lora.rank", "2");
  expect(status, stderr).toBe(0);
  expect(await initFromOf("kept")).toMatchObject({ blocks: true });
  const own = jsonLines(stdout).findLast(({ type }) => type === "eval")?.valLoss;
  const lossOf = async (...args: readonly string[]): Promise<unknown> => {
    const found = await cli(["evaluate", "kept", "--weights", "last", ...args, ...on], { cwd });
    expect(found.status, found.stderr).toBe(0);
    return jsonLines(found.stdout)[0]?.natsPerToken;
  };
  expect(await lossOf()).toBe(own);
  const widened = Number(await lossOf("--widen"));
  expect(widened).not.toBe(own);
  expect(widened).toBeCloseTo(Number(own), 2);
  const merged = await cli(["merge", "kept", "--out", "merged", "--json"], { cwd });
  expect(merged.status, merged.stderr).toBe(0);

  // The numbers of the base are also near the levels of eight bits.
  const told = async (...args: readonly string[]): Promise<string> => {
    const written = await cli(args, { cwd });
    expect(written.status, written.stderr).toBe(0);
    return written.stderr;
  };
  const loses =
    /kept\S*: an adapter that is merged into q8_0 weights of a base model in Q8_0 and Q4_0 may lose much of what it learned: `foretoken evaluate FILE --data TEXT` measures how much. To keep it, use f16 \(export --dtype f16, quantize --to f16\), or the original file with the adapter alone \(export --adapter-only\)\. To keep most of it in fewer bits, merge it, then quantize the merged model with --calibrate, to another encoding than the base's$/mu;
  const asGguf = ["export", "kept", "--format", "gguf"];
  expect(await told(...asGguf, "--dtype", "q8_0", "--out", "eight.gguf")).toMatch(loses);
  expect(await told("quantize", "kept", "--to", "q8_0", "--out", "same.gguf")).toMatch(loses);
  expect(await told(...asGguf, "--dtype", "f16", "--out", "half.gguf")).not.toMatch(/may lose much/u);
  const verified = [
    "verify",
    "kept",
    "eight.gguf",
    "half.gguf",
    "--prompt-count",
    "2",
    "--max-new-tokens",
    "4",
    "--json",
  ];
  const [found] = jsonLines((await cli(verified, { cwd })).stdout);
  const [eight, half] = (found as { forms: { largestLogit: number }[] }).forms;
  expect(half?.largestLogit).toBeLessThan((eight?.largestLogit ?? 0) / 4);
  expect(await told(...asGguf, "--adapter-only", "--out", "alone.gguf")).not.toMatch(/may lose much/u);
});

test("--widen turns them into the dtype, and goes with adapters alone", async () => {
  const { status, stderr } = await train("widened", "--lora.rank", "2", "--widen", "--stop-at", "1");
  expect(status, stderr).toBe(0);
  expect(Object.keys((await initFromOf("widened")) as object)).toEqual(["path", "sha256"]);
  const whole = await train("whole", "--widen");
  expect({ status: whole.status, stdout: whole.stdout }).toEqual({ status: 2, stdout: "" });
  expect(whole.stderr).toMatch(
    /^foretoken: --widen: must be used with adapters: a run that trains all weights never keeps blocks; got a run without adapters; try leaving it out$/mu,
  );
  const alone = await cli(["train", ...small, ...on, "--widen"], { cwd });
  expect(alone.stderr).toMatch(/^foretoken: --widen: must be used with adapters/mu);
  const resumed = await cli(["train", "--resume", "widened", "--widen"], { cwd });
  expect(resumed.stderr).toMatch(
    /^foretoken: --resume: cannot be combined with flags that change the run; got --widen/mu,
  );
});
