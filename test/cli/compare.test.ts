import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const on = ["--backend", "reference"];
let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  for (const seed of ["1", "2"]) {
    for (const [name, rate] of [
      ["slow", "1e-5"],
      ["fast", "0.02"],
    ] as const) {
      const args = tinyWith("--seed", seed, "--learning-rate", rate, "--out", `${name}${seed}`);
      expect((await cli(["train", ...args], { cwd })).status).toBe(0);
    }
  }
});
afterAll(() => remove());

interface Told {
  readonly contextLength: number;
  readonly settings: readonly {
    readonly runs: readonly { readonly path: string; readonly seed: number; readonly natsPerToken: number }[];
    readonly natsPerToken: number;
    readonly difference: { readonly natsPerToken: number; readonly pValue: number; readonly paired: boolean } | null;
  }[];
}

const compared = async (...args: readonly string[]): Promise<Told> => {
  const { status, stdout, stderr } = await cli(["compare", ...args, ...on, "--json"], { cwd });
  expect(status, stderr).toBe(0);
  return jsonLines(stdout)[0] as unknown as Told;
};

test("settings of two seeds, paired, on what the first run held out; the figures are those of evaluate", async () => {
  const words = ["slow1,slow2", "fast2,fast1"];
  const { settings, contextLength } = await compared(...words);
  expect(contextLength).toBe(8);
  const [slow, fast] = settings;
  expect(slow?.difference).toBeNull();
  expect(slow?.runs.map(({ path, seed }) => [path, seed])).toEqual([
    ["slow1", 1],
    ["slow2", 2],
  ]);
  expect(fast?.difference?.paired).toBe(true);
  expect(fast?.difference?.natsPerToken).toBeCloseTo((fast?.natsPerToken ?? 0) - (slow?.natsPerToken ?? 0), 10);
  const [measured] = jsonLines((await cli(["evaluate", "slow1", ...on, "--json"], { cwd })).stdout);
  expect(slow?.runs[0]?.natsPerToken).toBeCloseTo((measured as { natsPerToken: number }).natsPerToken, 6);
  const { stdout } = await cli(["compare", ...words, ...on], { cwd });
  expect(stdout).toMatch(/^setting {3}runs {2}nats\/token {2}difference +p$/mu);
  expect(stdout).toMatch(/^slow1 \+1 {5}2 {6}\d\.\d{4}$/mu);
  expect(stdout).toMatch(/^fast2 \+1 {5}2 {6}\d\.\d{4} {2}-\d\.\d{4} ± \d\.\d{4} {2}[<\d.]+ {2}\S/mu);
  expect(stdout).toContain("Measured on text.txt, the part that was held out, in windows of 8 tokens.");
  expect(stdout).toContain("for other seeds and for texts like this one. Runs are paired by seed.");
});

test("--group puts runs together that differ in their seeds alone", async () => {
  const grouped = await compared("--group", "slow1", "fast1", "slow2", "fast2");
  expect(grouped.settings).toEqual((await compared("slow1,slow2", "fast1,fast2")).settings);
});

test("two models alone: the interval says nothing of seeds; and several settings are corrected", async () => {
  const alone = await cli(["compare", "slow1", "fast1", "--weights", "last", ...on], { cwd });
  expect(alone.stdout).toContain(
    "The interval does not cover the effect of seeds. To cover seeds, name several runs of each setting.",
  );
  const many = await cli(["compare", "slow1,slow2", "fast1,fast2", "slow1/checkpoint", ...on], { cwd });
  expect(many, many.stderr).toMatchObject({ status: 0 });
  expect(many.stdout).toContain("p (Holm)");
  expect(many.stdout).toContain("paired by seed where the seeds are the same");
  expect(many.stdout).toContain("± is for each comparison alone, but p is corrected for 2 comparisons.");
  expect(alone.stdout).not.toContain("corrected");
});

test("a hint names only flags that the command has", async () => {
  writeFileSync(join(cwd, "strange.txt"), "\u03b1\u03b2".repeat(200));
  const { status, stderr } = await cli(
    ["compare", "slow1", "fast1", "--data", "strange.txt", "--split", "all", ...on],
    {
      cwd,
    },
  );
  expect(status).toBe(2);
  expect(stderr).toContain("try --data with a text whose characters all models know");
  const turns = ["user", "assistant"].map((role) => ({ role, content: "ab" }));
  writeFileSync(join(cwd, "chat.jsonl"), `${JSON.stringify({ messages: turns })}\n`.repeat(40));
  const trained = await cli(["train", ...tinyWith("--data", "chat.jsonl", "--out", "none")], { cwd });
  expect(trained.stderr).toContain(
    "try a model with a chat template, --chat-template FILE, or documents of plain text",
  );
});
