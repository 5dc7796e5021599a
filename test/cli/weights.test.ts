import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Outcome } from "../outcome-of.ts";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
let trained: Outcome;
/** The line that a command prints if it uses the best weights of `run`. */
let notice: string;

const inside = (...parts: string[]): string => join(cwd, ...parts);
const on = ["--backend", "reference"];

/** The learning rate becomes far too high, so the last loss is not the lowest loss. */
const turning = [
  "--preset",
  "shakespeare",
  "--learning-rate",
  "3",
  "--train.schedule.kind",
  "constant",
  "--train.warmupSteps",
  "4",
];

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  trained = await cli(["train", ...tinyWith(...turning), "--out", "run"], { cwd });
  expect(trained.status).toBe(0);
  const state = readFileSync(inside("run", "checkpoint", "trainer_state.json"), "utf8");
  const { progress } = JSON.parse(state) as { progress: { best: { step: number } } };
  expect(progress.best.step).toBeLessThan(6);
  notice = `weights of step ${progress.best.step}, the step with the best evaluation (--weights last: weights of step 6)\n`;
});

afterAll(() => remove());

const evaluated = async (...args: readonly string[]): Promise<{ readonly loss: unknown; readonly stderr: string }> => {
  const { status, stdout, stderr } = await cli(["evaluate", ...args, "--json", ...on], { cwd });
  expect(status, stderr).toBe(0);
  return { loss: jsonLines(stdout)[0]?.natsPerToken, stderr };
};

describe("a run's folder", () => {
  test("stands for its best weights unless told otherwise, and says so once", async () => {
    const [own, best, last, inBest, inLast] = await Promise.all([
      evaluated("run"),
      evaluated("run", "--weights", "best"),
      evaluated("run", "--weights", "last"),
      evaluated("run/best"),
      evaluated("run/checkpoint"),
    ]);
    expect(Number(inBest.loss)).toBeLessThan(Number(inLast.loss));
    expect(own).toEqual({ loss: inBest.loss, stderr: notice });
    expect(best).toEqual(own);
    expect(last).toEqual(inLast);
    expect([inBest.stderr, inLast.stderr]).toEqual(["", ""]);
  });

  test("does so for generate, which is silent where both are of one step", async () => {
    const args = ["--prompt", "The", ...on];
    expect((await cli(["train", ...tinyWith("--steps", "2"), "--out", "short"], { cwd })).status).toBe(0);
    const [own, best, short] = await Promise.all([
      cli(["generate", "run", ...args], { cwd }),
      cli(["generate", "run/best", ...args], { cwd }),
      cli(["generate", "short", ...args], { cwd }),
    ]);
    expect(own).toEqual({ ...best, stderr: notice });
    expect(short).toMatchObject({ status: 0, stderr: "" });
  });

  test("is what the commands after a training name", () => {
    expect(trained.stdout).toMatch(/^ {2}npx foretoken generate run --prompt The /mu);
    expect(trained.stdout).toMatch(/^ {2}npx foretoken evaluate run /mu);
  });

  test("has the step of its best weights told where a run was killed after them, before a checkpoint", async () => {
    cpSync(inside("run"), inside("killed"), { recursive: true });
    const manifest = inside("killed", "best", "manifest.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(/"step": \d+/u, '"step": 1400'));
    expect((await evaluated("killed")).stderr).toBe(
      "weights of step 1,400, the step with the best evaluation (--weights last: weights of step 6)\n",
    );
  });

  test("has it told where a kill came while its best weights were moved", async () => {
    cpSync(inside("run"), inside("moved"), { recursive: true });
    const state = JSON.parse(readFileSync(inside("moved", "checkpoint", "trainer_state.json"), "utf8"));
    const { step } = (state as { progress: { best: { step: number } } }).progress.best;
    const manifest = inside("moved", "best", "manifest.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(/"step": \d+/u, '"step": 0'));
    expect((await evaluated("moved")).stderr).toBe(
      `weights of step 0; the best weights, of step ${step}, are not in best/ because the run was killed; to repair the run: npx foretoken train --resume moved\n`,
    );
  });

  test("stands for its last weights where the best are damaged, with a line that says so", async () => {
    cpSync(inside("run"), inside("damaged"), { recursive: true });
    truncateSync(inside("damaged", "best", "model.safetensors"), 900);
    const { loss, stderr } = await evaluated("damaged");
    expect(loss).toBe((await evaluated("run/checkpoint")).loss);
    expect(stderr).toMatch(
      /^damaged\/best\/model\.safetensors: [^\n]*; using the weights of the last checkpoint instead\n$/u,
    );
    const asked = await cli(["evaluate", "damaged", "--weights", "best"], { cwd });
    expect(asked).toMatchObject({ status: 2, stdout: "" });
    expect(asked.stderr).toMatch(/^foretoken: damaged\/best\/model\.safetensors: [^\n]*\n$/u);
  });

  test("stands for what it has, and refuses what it has not", async () => {
    for (const folder of ["best", "checkpoint"]) {
      cpSync(inside("run"), inside(`no-${folder}`), { recursive: true });
      rmSync(inside(`no-${folder}`, folder), { recursive: true });
    }
    const [one, other] = await Promise.all([evaluated("no-best"), evaluated("no-checkpoint")]);
    const lost =
      /^weights of step 6, the last step: the best weights, of step \d, are no longer in the run's folder\n$/u;
    expect(one.stderr).toMatch(lost);
    expect(other.stderr).toBe("");
    expect(Number(one.loss)).toBeGreaterThan(Number(other.loss));
    const asked = await Promise.all([
      cli(["evaluate", "no-best", "--weights", "best"], { cwd }),
      cli(["generate", "no-checkpoint", "--weights", "last"], { cwd }),
    ]);
    expect(asked.map(({ status }) => status)).toEqual([2, 2]);
    expect(asked[0]?.stderr).toMatch(
      /^foretoken: no-best: the run's folder must contain the best weights, of step \d; got no best weights: [^\n]*; try --weights last\n$/u,
    );
    expect(asked[1]?.stderr).toMatch(
      /^foretoken: no-checkpoint: [^\n]*; got only its best weights; try --weights best\n$/u,
    );
  });

  test("has averaged weights where it was trained with an average", async () => {
    const made = await cli(["train", ...tinyWith("--average", "last-k"), "--out", "averaged-run"], { cwd });
    expect(made.status, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/averaged +\d\.\d+ nats\/token at step \d .* in averaged-run\/averaged/u);
    const [named, inside] = await Promise.all([
      evaluated("averaged-run", "--weights", "averaged"),
      evaluated("averaged-run/averaged"),
    ]);
    expect(named.loss).toBe(inside.loss);
    expect(readFileSync(join(cwd, "averaged-run", "README.md"), "utf8")).toContain("| best averaged |");
    const { status, stderr } = await cli(["evaluate", "run", "--weights", "averaged"], { cwd });
    expect(status).toBe(2);
    expect(stderr).toBe(
      "foretoken: run: the run must have averaged weights, from train.average and an evaluation; got none; try --weights best\n",
    );
  });

  test.each(["generate", "evaluate"])("alone has a choice of weights: %s says so of a checkpoint", async (verb) => {
    const { status, stdout, stderr } = await cli([verb, "run/best", "--weights", "last"], { cwd });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^foretoken: --weights: works only with a run's folder[^\n]*; got run\/best[^\n]*\n$/u);
    expect((await cli([verb, "run", "--weights", "lst"], { cwd })).stderr).toContain("best, last or averaged");
  });
});

describe("a model that is written anew", () => {
  test("by export has the best weights of a run, and export says so", async () => {
    const own = await cli(["export", "run", "--format", "gguf", "--out", "own.gguf"], { cwd });
    expect({ status: own.status, stderr: own.stderr }).toEqual({ status: 0, stderr: `run: ${notice}` });
    const last = await cli(["export", "run", "--format", "gguf", "--out", "last.gguf", "--weights", "last"], { cwd });
    expect({ status: last.status, stderr: last.stderr }).toEqual({ status: 0, stderr: "" });
  });

  test("by merge has the best weights of an adapter's run, or the last ones", async () => {
    const lora = ["--init-from", "run/checkpoint", "--lora.rank", "2", "--steps", "6", "--train.evalInterval", "1"];
    const flags = [...lora, "--learning-rate", "0.5", "--patience", "0", ...on, "--out", "lora"];
    const { status, stderr } = await cli(["train", "--data", "text.txt", ...flags], { cwd });
    expect(status, stderr).toBe(0);
    const best = await cli(["merge", "lora", "--out", "merged-best"], { cwd });
    const last = await cli(["merge", "lora", "--out", "merged-last", "--weights", "last"], { cwd });
    expect([best.status, last.status]).toEqual([0, 0]);
    expect(best.stderr).toMatch(
      /^lora: weights of step \d, the step with the best evaluation \(--weights last: .* 6\)\n$/u,
    );
    expect(last.stderr).toBe("");
    const bytesOf = (folder: string) => readFileSync(inside(folder, "model.safetensors"));
    expect(bytesOf("merged-best").equals(bytesOf("merged-last"))).toBe(false);
  });
});

describe("without a prompt", () => {
  const write = async (path: string): Promise<string> => {
    const { status, stdout, stderr } = await cli(["generate", path, "--max-new-tokens", "3", ...on], { cwd });
    expect(status, stderr).toBe(0);
    return stdout;
  };

  test("generate continues a line end, else what the run's samples do, else the first token", async () => {
    expect((await write("run/checkpoint")).startsWith("\n")).toBe(true);
    writeFileSync(inside("flat.txt"), "no end of a line in it ".repeat(100));
    expect((await cli(["train", ...tinyWith("--data", "flat.txt"), "--out", "flat"], { cwd })).status).toBe(0);
    const { data } = JSON.parse(readFileSync(inside("flat", "run.json"), "utf8")) as { data: { prompt: string } };
    expect(data.prompt.length).toBeGreaterThan(1);
    expect((await write("flat")).startsWith(data.prompt)).toBe(true);
    // A checkpoint outside of a run's folder does not belong to a run. So no prompt of a run is available.
    cpSync(inside("flat", "best"), inside("alone"), { recursive: true });
    expect(await write("alone")).toHaveLength(1 + 3 + 1);
    expect((await write("alone")).startsWith(" ")).toBe(true);
    writeFileSync(inside("flat", "run.json"), "{");
    expect((await write("flat/best")).startsWith(" ")).toBe(true);
    const asked = await cli(["generate", "flat", "-i", "--max-new-tokens", "3", ...on], { cwd, input: "no\n" });
    expect(asked).toMatchObject({ status: 0, stdout: expect.stringMatching(/^no.{3}\n$/u) });
  });
});
