import { readFileSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { resumePurpose } from "#foretoken/config/longer-steps.js";
import { takeLock } from "#foretoken/io/lock.node.js";
import { cli, jsonLines, proposedWords, text, tiny, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  expect(await cli(["train", ...tiny, "--out", "base"], { cwd })).toMatchObject({ status: 0 });
});

/** A copy of the finished run `base`. */
const copyOfBase = (name: string): Promise<void> => cp(join(cwd, "base"), join(cwd, name), { recursive: true });

afterAll(() => remove());

const on = ["--backend", "reference"];

/** The words of the command for the given purpose in `shown`. */
const proposed = (shown: string, purpose: string): string[] => {
  const line = shown.split("\n").find((one) => one.includes(`# ${purpose}`));
  return proposedWords(line ?? expect.fail(`no proposal to ${purpose}`));
};

describe("the proposal to train longer", () => {
  test("works as it is printed, in the run's own folder, from its screen and its page", async () => {
    const trained = await cli(["train", ...tiny, "--out", "longer"], { cwd });
    const command = proposed(trained.stdout, "train longer");
    expect(command).toEqual(["train", "--resume", "longer", "--steps", "12", ...on]);
    const again = await cli(command, { cwd });
    expect(again).toMatchObject({ status: 0, stderr: "" });
    expect(again.stdout).toContain("resumes at step 6");
    expect(again.stdout).toMatch(
      /^extended {3}at step 6, from 6 steps to 12 \(stretch\) . learning rate from 0 to 0\.00533 by step 8, then linear to 0$/mu,
    );
    expect(again.stdout).toContain("Done: 12 steps, the last 6 in ");
    const page = readFileSync(join(cwd, "longer", "README.md"), "utf8");
    const inside = proposed(page, "train longer").map((word) => ({ ".": "../longer", "18": "20" })[word] ?? word);
    expect(inside).toEqual(["train", "--resume", "../longer", "--steps", "20"]);
    const third = await cli([...inside, ...on], { cwd: join(cwd, "longer") });
    expect(third, third.stderr).toMatchObject({ status: 0 });
    expect(third.stdout).toContain("Done: 20 steps");
  });

  test("is not made where the validation loss was rising, on the screen and on the run's page", async () => {
    // The text in reverse order. Predictions learned from the text are wrong for the reversed text.
    writeFileSync(join(cwd, "reversed.txt"), [...text].reverse().join(""));
    const plan = tinyWith("--steps", "60", "--eval-interval", "10");
    const more = ["--val-data", "reversed.txt", "--learning-rate", "0.05", "--patience", "0", "--out", "rising"];
    const { status, stdout, stderr } = await cli(["train", ...plan, ...more], { cwd });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("validation loss is rising");
    expect(stdout).toContain("# evaluate the model again");
    expect(stdout).not.toContain("train longer");
    expect(readFileSync(join(cwd, "rising", "README.md"), "utf8")).not.toContain("train longer");
  });

  test("asks for no more steps than the run's patience lets it take", async () => {
    // The model learns nothing at this rate. So patience counts each evaluation after the first evaluation.
    const plan = tinyWith("--learning-rate", "1e-30", "--patience", "2", "--out", "patient", "--steps", "4");
    const trained = await cli(["train", ...plan], { cwd });
    expect(trained.stdout).toContain("Done: 4 steps");
    const command = proposed(trained.stdout, "train longer");
    expect(command).toEqual(["train", "--resume", "patient", "--steps", "8", ...on]);
    expect(readFileSync(join(cwd, "patient", "README.md"), "utf8")).toContain("--resume . --steps 8 ");
    const longer = await cli(command, { cwd });
    expect(longer.stdout).toContain("Done: 8 steps");
    // The added steps found no better weights.
    expect(longer.stdout).not.toContain("train longer");
    expect(readFileSync(join(cwd, "patient", "README.md"), "utf8")).not.toContain("train longer");
  });

  test("is to continue to the planned end where a run was stopped", async () => {
    const stopped = await cli(["train", ...tiny, "--out", "stopped", "--stop-at", "3"], { cwd });
    expect(stopped.stdout).not.toContain("train longer");
    expect(proposed(stopped.stdout, "continue to the planned end")).toEqual(["train", "--resume", "stopped", ...on]);
    // Only on a terminal does the list propose a command.
    const listed = await cli(["runs", "stopped"], { cwd });
    expect(listed.stdout).toMatch(/^run .*\nstopped .* stopped\n$/u);
  });
});

test("a stopped run that gets fewer steps is called shortened", async () => {
  await cli(["train", ...tiny, "--out", "shorter", "--stop-at", "3"], { cwd });
  const { stdout } = await cli(["train", "--resume", "shorter", "--steps", "4", ...on], { cwd });
  expect(stdout).toMatch(/^shortened {2}at step 3, from 6 steps to 4 \(stretch\) /mu);
  expect(stdout).not.toContain("extended");
  expect(readFileSync(join(cwd, "shorter", "README.md"), "utf8")).toMatch(
    /^\| shortened \| at step 3, from 6 steps to 4 /mu,
  );
});

test("a number of steps and its way come as flags in either spelling, and as JSON", async () => {
  await copyOfBase("json");
  const args = ["train", "--resume", "json", "--train.steps", "9", "--extend", "restart", "--json", ...on];
  const events = jsonLines((await cli(args, { cwd })).stdout);
  expect(events[0]).toMatchObject({
    type: "start",
    step: 6,
    config: { train: { steps: 9, extensions: [{ after: 6, planned: 6, schedule: "restart" }] } },
  });
  expect(events.at(-1)).toMatchObject({ type: "done", step: 9 });
});

test("train --init-from begins a run in a folder of its own with the weights of another, and says so", async () => {
  writeFileSync(join(cwd, "part.txt"), text.slice(0, 1000));
  const plan = ["--data", "part.txt", "--steps", "2", "--batch-size", "2", ...on];
  const begun = await cli(["train", "--init-from", "base", ...plan, "--model.dropout", "0.1", "--out", "second"], {
    cwd,
  });
  expect(begun, begun.stderr).toMatchObject({ status: 0 });
  expect(begun.stdout).toMatch(/^weights {4}from \S*base\/best$/mu);
  expect(begun.stdout).toContain("17 distinct");
  const description = JSON.parse(readFileSync(join(cwd, "second", "run.json"), "utf8")) as Record<string, unknown>;
  expect(description).toMatchObject({
    config: { model: { nEmbd: 8, dropout: 0.1 }, train: { steps: 2 } },
    data: { initFrom: { path: join(cwd, "base", "best"), sha256: expect.stringMatching(/^[0-9a-f]{64}$/u) } },
  });
});

test.each(["float32", "bfloat16"])("evaluate gives the loss that a run in %s has noted, to the bit", async (dtype) => {
  const out = `noted-${dtype}`;
  const trained = await cli(["train", ...tinyWith("--backend", "auto"), "--dtype", dtype, "--json", "--out", out], {
    cwd,
  });
  expect(trained, trained.stderr).toMatchObject({ status: 0 });
  const noted = jsonLines(trained.stdout).findLast((event) => (event as { type: string }).type === "eval");
  const measured = await cli(["evaluate", out, "--weights", "last", "--json"], { cwd });
  const [{ natsPerToken }] = jsonLines(measured.stdout) as [{ natsPerToken: number }];
  expect(natsPerToken).toBe((noted as { valLoss: number }).valLoss);
});

test("evaluate --against compares a tuned model with the one that it began with, on the same windows", async () => {
  const plan = ["--steps", "2", "--batch-size", "2", ...on];
  const tuned = await cli(["train", "--init-from", "base", "--data", "text.txt", ...plan, "--out", "tuned"], { cwd });
  expect(tuned, tuned.stderr).toMatchObject({ status: 0 });
  const before = /^before {5}(\d\.\d+) nats\/token/mu.exec(tuned.stdout)?.[1];
  const args = ["evaluate", "tuned", "--weights", "last", "--against", "base", "--context-length", "4", ...on];
  const told = await cli(args, { cwd });
  expect(told, told.stderr).toMatchObject({ status: 0 });
  expect(told.stdout).toMatch(
    /^ +this +against +difference\nnats per token +\d\.\d{4} +\d\.\d{4} +[+-]\d\.\d{4} ± \d\.\d{4}\n/u,
  );
  const [json] = jsonLines((await cli([...args.slice(0, 6), ...on, "--json"], { cwd })).stdout) as [
    { natsPerToken: number; against: { natsPerToken: number }; difference: { natsPerToken: number; windows: number } },
  ];
  expect(told.stdout).toMatch(
    /^± gives the 95% confidence interval of the difference for texts like this one\. The interval was estimated from \d+ windows in 16 blocks\.$/mu,
  );
  expect(told.stdout).toMatch(/^measured on +text\.txt, the part that was held out, in windows of 4 tokens$/mu);
  expect(json.against.natsPerToken.toFixed(3)).toBe(before);
  expect(json.difference.natsPerToken).toBeCloseTo(json.natsPerToken - json.against.natsPerToken, 10);
  expect(json.difference.windows).toBeGreaterThan(1);
  // A resumed run does not evaluate its initial weights again, but it has noted their loss.
  const longer = await cli(["train", "--resume", "tuned", "--steps", "3", ...on], { cwd });
  expect(longer, longer.stderr).toMatchObject({ status: 0 });
  expect(/^before {5}(\d\.\d+) nats\/token/mu.exec(longer.stdout)?.[1]).toBe(before);
  expect(longer.stdout).not.toMatch(/^untrained /mu);
  expect(readFileSync(join(cwd, "tuned", "README.md"), "utf8")).not.toContain("untrained");
});

test("evaluate --against says what was left out of a text, and that the figures do not compare", async () => {
  writeFileSync(join(cwd, "other.txt"), "The bat said that a hat has the rat.\n".repeat(20));
  await cli(["train", ...tinyWith("--data", "other.txt"), "--out", "other"], { cwd });
  const { status, stdout, stderr } = await cli(["evaluate", "base", "--against", "other", "--unknown", "skip", ...on], {
    cwd,
  });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^left out of against: \d+ characters that the model never saw: /mu);
  expect(stdout).not.toContain("left out of this");
  expect(stdout).toMatch(
    /^The figures cannot be compared: .* the two models read different texts\. Try a text with characters that both models know\.\n$/mu,
  );
});

describe("what is said of a stopped run", () => {
  test("is that all steps are done, where it was stopped after its last step", () => {
    expect(resumePurpose(19, 20)).toBe("continue to the planned end");
    expect(resumePurpose(20, 20)).toMatch(/^all steps are done: /u);
  });

  test("is the same best loss at the same step everywhere, and that it was not measured where it stopped", async () => {
    const args = ["train", ...tinyWith("--steps", "20", "--eval-interval", "4"), "--stop-at", "7", "--out"];
    const shown = await cli([...args, "told"], { cwd });
    const events = jsonLines((await cli([...args, "told-json", "--json"], { cwd })).stdout);
    const done = events.at(-1) as { bestValLoss: number };
    expect(done).toMatchObject({ type: "done", step: 7, valLoss: null, bestStep: 4 });
    const best = done.bestValLoss.toFixed(3);
    expect(shown.stdout).toMatch(/^Stopped at step 7 of 20, after \S+; saved, but not evaluated$/mu);
    expect(shown.stdout).toMatch(
      new RegExp(`^validation {1,2}${best} nats/token . at step 4, the last evaluation`, "mu"),
    );
    expect(shown.stdout).toMatch(/ evaluate told --weights last {2}# evaluate step 7$/mu);
    expect(shown.stdout).toMatch(new RegExp(`^best {7}${best} nats/token at step 4 . kept in told/best$`, "mu"));
    expect((await cli(["runs", "told"], { cwd })).stdout).toContain(`${best} at 4`);
    const [listed] = jsonLines((await cli(["runs", "told", "--json"], { cwd })).stdout);
    expect(listed).toMatchObject({ best: { step: 4, valLoss: done.bestValLoss } });
    const page = readFileSync(join(cwd, "told", "README.md"), "utf8");
    expect(page).toContain(`| best | ${done.bestValLoss.toFixed(4)} nats/token on held-out data, at step 4 |`);
    expect(page).not.toMatch(/^\| 7 \| \d/mu);
  });

  test("before its first evaluation is that there is no loss yet, everywhere", async () => {
    const args = ["train", ...tinyWith("--eval-interval", "4"), "--stop-at", "1", "--out", "early", "--json"];
    const done = jsonLines((await cli(args, { cwd })).stdout).at(-1);
    expect(done).toMatchObject({ type: "done", step: 1, valLoss: null, bestValLoss: null, bestStep: null });
    const [listed] = jsonLines((await cli(["runs", "early", "--json"], { cwd })).stdout);
    expect(listed).toMatchObject({ best: null });
    expect(readFileSync(join(cwd, "early", "README.md"), "utf8")).toContain("No loss has been measured yet.");
  });
});

test("a profile counts the steps that it timed", async () => {
  await cli(["train", ...tiny, "--out", "profiled", "--stop-at", "2"], { cwd });
  const shown = await cli(["train", "--resume", "profiled", "--profile", "--stop-at", "5", ...on], { cwd });
  expect(shown.stdout).toMatch(
    /^Time by kernel: \S+ \S+ in total, for 3 steps \(3 to 5, since the run was resumed\) with evaluations/mu,
  );
  const events = jsonLines(
    (await cli(["train", "--resume", "profiled", "--profile", "--json", ...on], { cwd })).stdout,
  );
  expect(events.find(({ type }) => type === "profile")).toMatchObject({ step: 6, timedSteps: 1 });
});

test("runs --sort loss compares only runs of one text and one tokenizer", async () => {
  writeFileSync(join(cwd, "easy.txt"), "ab".repeat(1500));
  const made = ["train", ...tinyWith("--steps", "2")];
  await Promise.all([
    cli([...made, "--out", "groups/a"], { cwd }),
    cli([...made, "--out", "groups/b", "--seed", "2"], { cwd }),
    cli(["train", ...tinyWith("--steps", "2", "--data", "easy.txt"), "--out", "groups/easy"], { cwd }),
    // This run holds out another part of the text.
    cli([...made, "--out", "groups/split", "--val-fraction", "0.3"], { cwd }),
  ]);
  const { stdout } = await cli(["runs", "groups", "--sort", "loss"], { cwd });
  const heads = stdout.split("\n").filter((line) => line.startsWith("text "));
  expect(heads).toHaveLength(3);
  expect(new Set(heads).size).toBe(3);
  expect(
    heads.filter((line) => /^text text\.txt . SHA-256 [0-9a-f]{8} . char tokenizer . 17 tokens . /u.test(line)),
  ).toHaveLength(2);
  expect(heads.some((line) => line.startsWith("text easy.txt ") && line.includes("2 tokens"))).toBe(true);
  const order = [...stdout.matchAll(/^groups\/(\w+)/gmu)].map(([, name]) => name);
  expect(Math.abs(order.indexOf("a") - order.indexOf("b"))).toBe(1);
  const listed = jsonLines((await cli(["runs", "groups", "--sort", "loss", "--json"], { cwd })).stdout);
  expect(listed.map(({ name }) => name)).toEqual(order);
  const loss = (name: string): number =>
    (listed.find((run) => run.name === name) as { best: { valLoss: number } }).best.valLoss;
  expect(order.indexOf("a") < order.indexOf("b")).toBe(loss("a") <= loss("b"));
  // If the runs are sorted by time, they are in one list without group headings. Runs of a single text have no headings
  // either.
  expect((await cli(["runs", "groups"], { cwd })).stdout).not.toContain("SHA-256");
  expect((await cli(["runs", "groups/a", "--sort", "loss"], { cwd })).stdout).not.toContain("SHA-256");
});

test("runs says of a run without an end whether a process trains it, in the studio's words", async () => {
  await copyOfBase("endless");
  const notes = join(cwd, "endless", "metrics.jsonl");
  // The files that remain when a process is killed after the first step.
  const lines = readFileSync(notes, "utf8").split("\n");
  const first = lines.findIndex((line) => line.includes('"type":"step"'));
  writeFileSync(notes, `${lines.slice(0, first + 1).join("\n")}\n`);
  const listed = async (): Promise<string> => (await cli(["runs", "endless"], { cwd })).stdout;
  expect(await listed()).toMatch(/ unfinished\n$/u);
  const lock = await takeLock(join(cwd, "endless", ".lock"), "endless");
  try {
    expect(await listed()).toMatch(/ training\n$/u);
  } finally {
    await lock.release();
  }
  const [json] = jsonLines((await cli(["runs", "endless", "--json"], { cwd })).stdout);
  expect(json).toMatchObject({ state: "unfinished" });
});
