import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { SweepResult } from "#foretoken/index.js";
import { cli, jsonLines, tree, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const on = ["--backend", "reference"];
const tiny = {
  data: "text.txt",
  model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 },
  train: { steps: 6, batchSize: 2, evalInterval: 3, checkpointInterval: 2, warmupSteps: 1 },
};
const rates = { ...tiny, seeds: 2, vary: { "train.learningRate": [1e-5, 0.002, 0.02] } };

let cwd: string;
let remove: () => Promise<void>;
const write = (name: string, json: unknown): void => writeFileSync(join(cwd, name), JSON.stringify(json));
const swept = (name: string): SweepResult =>
  JSON.parse(readFileSync(join(cwd, name, "result.json"), "utf8")) as SweepResult;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  write("rates.json", rates);
});
afterAll(() => remove());

test("a sweep trains its settings, names the best one, measures it once, and writes its configuration", async () => {
  const { status, stdout, stderr } = await cli(["sweep", "rates.json", ...on], { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(
    /^3 settings, 2 seeds each: at most 36 steps, in rates\nstage 1: 3 settings, 3 runs\nstage 2: /u,
  );
  expect(stdout).toMatch(/^3 {2}learningRate 0\.02 {8}12 {5}\d\.\d{4} {2}best$/mu);
  const { winner, settings, heldOut } = swept("rates");
  expect(winner).toBe(3);
  expect(settings.map(({ losses }) => losses.length)).toEqual(settings.map(({ steps }) => steps / 6));
  const again = await cli(["sweep", "rates.json", ...on], { cwd });
  expect(again.stdout.slice(again.stdout.indexOf("\n\n"))).toBe(stdout.slice(stdout.indexOf("\n\n")));
  // For each setting, the table contains the loss of the run itself, on the text for choosing. For the best setting, it
  // contains the loss of the weights of both seeds on the held-out text.
  const measure = async (...args: string[]) => {
    const [one] = jsonLines((await cli(["evaluate", ...args, ...on, "--json"], { cwd })).stdout);
    return (one as { natsPerCharacter: number }).natsPerCharacter;
  };
  expect(settings[2]?.losses[1]?.natsPerCharacter).toBeCloseTo(await measure("rates/runs/03-seed2"), 12);
  const held = ["--data", "rates/texts/held-out.txt", "--split", "all"];
  expect(heldOut?.runs[0]?.natsPerCharacter).toBeCloseTo(await measure("rates/runs/03-seed1", ...held), 12);
  const texts = ["train", "choose", "held-out"].map((name) =>
    readFileSync(join(cwd, `rates/texts/${name}.txt`), "utf8"),
  );
  expect(texts.join("")).toBe(readFileSync(join(cwd, "text.txt"), "utf8"));
  expect(texts.map(({ length }) => Math.round(length / 307.2))).toEqual([8, 1, 1]);
  const config = ["train", "--config", "rates/winner.json", "--data", "text.txt", "--out", "winner", ...on];
  const trained = await cli(config, { cwd });
  expect(trained, trained.stderr).toMatchObject({ status: 0 });
  const described = JSON.parse(readFileSync(join(cwd, "winner", "run.json"), "utf8")) as { config: { train: object } };
  expect(described.config.train).toMatchObject({ learningRate: 0.02, steps: 6 });
});

test("with two jobs, halving, and events as JSON", async () => {
  write("halves.json", { ...rates, stop: { kind: "halving", stages: [0.5] } });
  const { status, stdout, stderr } = await cli(["sweep", "halves.json", "--jobs", "2", "--json", ...on], { cwd });
  expect(status, stderr).toBe(0);
  const events = jsonLines(stdout);
  expect(events.map(({ type }) => type).filter((type) => type !== "run")).toEqual(["start", "phase", "phase", "done"]);
  expect(events.filter(({ type }) => type === "run")).toHaveLength(6 + 4);
  const { settings, winner, steps } = swept("halves");
  expect([winner, steps]).toEqual([3, 3 * 6 + 4 * 3]);
  expect(settings[0]?.ending).toEqual({ kind: "halving", share: 0.5 });
  // Up to the last step of the shorter sweep, the losses equal the losses of the other sweep.
  expect(settings[2]?.losses).toEqual(swept("rates").settings[2]?.losses);
});

test("stopped by a signal it saves, and goes on to the same table", async () => {
  write("stopped.json", rates);
  const stopped = await cli(["sweep", "stopped.json", ...on], {
    cwd,
    onOutput: (out, kill) => {
      if (out.endsWith("3 runs\n")) kill("SIGINT");
    },
  });
  expect(stopped.status).toBe(130);
  expect(stopped.stderr).toMatch(/^saved; to resume: npx foretoken sweep stopped\.json$/mu);
  expect(tree(join(cwd, "stopped"))).not.toContain("result.json");
  expect((await cli(["sweep", "stopped.json", ...on], { cwd })).status).toBe(0);
  expect(swept("stopped")).toEqual(swept("rates"));
});

test("single runs and then the table are the same as one sweep, though the single runs train settings that it stops", async () => {
  const args = ["sweep", "rates.json", "--out", "array", ...on];
  const early = await cli([...args, "--only", "1"], { cwd });
  expect(early.status).toBe(2);
  expect(early.stderr).toContain(
    "sweep: array: the sweep must be prepared before single runs are trained; got no plan",
  );
  const prepared = await cli([...args, "--slurm", "jobs"], { cwd });
  expect(prepared, prepared.stderr).toMatchObject({
    status: 0,
    stdout:
      "6 runs prepared in array; nothing is trained yet\nTo submit the runs and the job that makes the table: bash jobs/submit.sh\n",
  });
  expect(tree(join(cwd, "jobs"))).toEqual(["runs.sbatch", "submit.sh", "table.sbatch"]);
  expect(readFileSync(join(cwd, "jobs", "runs.sbatch"), "utf8")).toMatch(/^#SBATCH --array=1-6$/mu);
  expect(tree(join(cwd, "array"))).not.toContain("result.json");
  for (const run of [6, 2, 1, 3, 5, 4]) {
    const { status, stdout, stderr } = await cli([...args, "--only", String(run)], { cwd });
    expect(status, stderr).toBe(0);
    const [setting, seed] = [Math.ceil(run / 2), 2 - (run % 2)];
    expect(stdout).toMatch(
      new RegExp(`^run ${run}, setting ${setting}, seed ${seed}: \\d\\.\\d{4} nats per character\\n$`, "u"),
    );
  }
  const notes = readFileSync(join(cwd, "array/runs/01-seed2/metrics.jsonl"), "utf8");
  expect((await cli([...args, "--only", "2"], { cwd })).status).toBe(0);
  expect(readFileSync(join(cwd, "array/runs/01-seed2/metrics.jsonl"), "utf8")).toBe(notes);
  const { stdout } = await cli(args, { cwd });
  expect(swept("array")).toEqual(swept("rates"));
  expect(stdout).toMatch(/^3 {2}learningRate 0\.02 {8}12 {5}\d\.\d{4} {2}best$/mu);
  const beyond = await cli([...args, "--only", "7"], { cwd });
  expect(beyond.stderr).toContain("--only: must be the number of a run, from 1 to 6; got 7");
  const again = await cli([...args, "--slurm", "jobs"], { cwd });
  expect(again.stderr).toContain("--slurm jobs: must be a folder without scripts of a sweep; got one with submit.sh");
  write("budget.json", { ...rates, budget: { steps: 30 } });
  const budget = await cli(["sweep", "budget.json", "--slurm", "others", ...on], { cwd });
  expect(budget.stderr).toContain("budget.json: budget: must not be given for a job array");
  expect(existsSync(join(cwd, "budget")) || existsSync(join(cwd, "others"))).toBe(false);
});

test("a setting whose steps are not finite fails alone; a mistake in the last setting is found before any training", async () => {
  write("wild.json", { ...rates, seeds: 1, vary: { "train.learningRate": [0.01, 1e30] } });
  const { status, stdout, stderr } = await cli(["sweep", "wild.json", ...on], { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^2 {2}learningRate 1e\+30 .*\bfailed: /mu);
  expect(swept("wild")).toMatchObject({ winner: 1, settings: [{}, { ending: { kind: "failed" } }] });
  write("late.json", { ...rates, vary: { "model.nHead": [1, 2, 3] } });
  const late = await cli(["sweep", "late.json", ...on], { cwd });
  expect(late.status).toBe(2);
  expect(late.stderr).toMatch(/^foretoken: late\.json: setting 3 \(nHead 3\): model\.nEmbd: must be divisible/u);
  expect(existsSync(join(cwd, "late"))).toBe(false);
});

test("refuses documents, a folder of something else, and another sweep's", async () => {
  writeFileSync(join(cwd, "talks.jsonl"), '{"text": "the cat"}\n');
  write("talks.json", { ...rates, data: "talks.jsonl" });
  const documents = await cli(["sweep", "talks.json", ...on], { cwd });
  expect(documents.status).toBe(2);
  expect(documents.stderr).toContain("talks.jsonl: the data of a sweep must be a text; got documents (.jsonl)");
  write("other.json", { ...rates, seeds: 3 });
  const other = await cli(["sweep", "other.json", "--out", "rates", ...on], { cwd });
  expect(other.status).toBe(2);
  expect(other.stderr).toContain("sweep: rates: the sweep to resume must be unchanged; got another value of seeds;");
  writeFileSync(join(cwd, "text2.txt"), `${readFileSync(join(cwd, "text.txt"), "utf8")}a cat`);
  write("moved.json", { ...rates, data: "text2.txt" });
  const moved = await cli(["sweep", "moved.json", "--out", "rates", ...on], { cwd });
  expect(moved.stderr).toContain("got another text (its SHA-256 differs)");
  const full = await cli(["sweep", "rates.json", "--out", "winner", ...on], { cwd });
  expect(full.status).toBe(2);
  expect(full.stderr).toContain(
    "sweep: winner: the folder must be new, empty or the folder of this sweep; got one with ",
  );
});

test.each([
  [
    "a shape without a checkpoint format",
    { vary: { "model.mask": ["causal", "none"] } },
    "setting 2 (mask none): model.mask",
  ],
  [
    "an unknown kind",
    { model: { ...tiny.model, mlp: { kind: "swigloo" } } },
    "setting 1 (learningRate 0.00001): model.mlp",
  ],
  ["a misspelt field", { train: { ...tiny.train, warmup: 3 } }, "setting 1 (learningRate 0.00001): "],
  ["a small budget", { budget: { steps: 7 } }, "budget.steps: must be enough"],
])("%s is refused before anything is written", async (_, fields, says) => {
  write("wrong.json", { ...rates, ...fields });
  const { status, stderr } = await cli(["sweep", "wrong.json", ...on], { cwd });
  expect(status).toBe(2);
  expect(stderr).toContain(`foretoken: wrong.json: ${says}`);
  expect(existsSync(join(cwd, "wrong"))).toBe(false);
});

test("a folder whose sweep has no run is begun anew by another file", async () => {
  const plan = join(cwd, "begun", "sweep.json");
  const started = (name: string) =>
    cli(["sweep", name, "--out", "begun", ...on], {
      cwd,
      onOutput: (out, kill) => {
        if (out.endsWith("in begun\n")) kill("SIGINT");
      },
    });
  await started("rates.json");
  rmSync(join(cwd, "begun", "runs"), { recursive: true });
  rmSync(join(cwd, "begun", "times.json"), { force: true });
  for (const damage of [readFileSync(plan, "utf8"), '{"sweep":']) {
    writeFileSync(plan, damage);
    write("four.json", { ...rates, seeds: 4 });
    const { stdout, stderr } = await started("four.json");
    expect(stdout, stderr).toMatch(/^3 settings, 4 seeds each/u);
    expect(JSON.parse(readFileSync(plan, "utf8"))).toMatchObject({ sweep: { seeds: 4 } });
    rmSync(join(cwd, "begun", "runs"), { recursive: true });
    rmSync(join(cwd, "begun", "times.json"), { force: true });
  }
});

test("a run that somebody trained further is refused, before it is measured as a run of the sweep", async () => {
  cpSync(join(cwd, "rates"), join(cwd, "further"), { recursive: true });
  rmSync(join(cwd, "further", "result.json"));
  const further = await cli(["train", "--resume", "further/runs/03-seed1", "--steps", "9", ...on], { cwd });
  expect(further.status, further.stderr).toBe(0);
  const { status, stderr } = await cli(["sweep", "rates.json", "--out", "further", ...on], { cwd });
  expect(status).toBe(2);
  expect(stderr).toContain(
    "sweep: further/runs/03-seed1: the run must have 6 steps, as the sweep planned it; got 9 steps; try deleting further/runs/03-seed1;",
  );
  expect(existsSync(join(cwd, "further", "result.json"))).toBe(false);
});

test("a file in place of the scripts' folder is refused before anything is written", async () => {
  for (const [folder, got] of [
    ["text.txt", "a file"],
    ["text.txt/jobs", "a file in its path"],
  ] as const) {
    const { stderr } = await cli(["sweep", "rates.json", "--slurm", folder, "--out", "unmade", ...on], { cwd });
    expect(stderr).toBe(`foretoken: --slurm ${folder}: must be a folder; got ${got}; try another name\n`);
    expect(existsSync(join(cwd, "unmade"))).toBe(false);
  }
});

test("a damaged result is made again; a run that lost its weights is trained again; a damaged plan is refused", async () => {
  const place = (name: string) => join(cwd, "rates", name);
  const whole = readFileSync(place("result.json"), "utf8");
  for (const damaged of ['{"settings": [', '{"settings": []}', whole.replaceAll('"losses"', '"lost"')]) {
    writeFileSync(place("result.json"), damaged);
    const { status, stderr } = await cli(["sweep", "rates.json", ...on], { cwd });
    expect(status, stderr).toBe(0);
    expect(readFileSync(place("result.json"), "utf8")).toBe(whole);
  }
  rmSync(place("result.json"));
  rmSync(place("runs/03-seed1/best"), { recursive: true });
  const lost = await cli(["sweep", "rates.json", ...on], { cwd });
  expect(lost.status).toBe(2);
  expect(lost.stderr).toContain("try deleting rates/runs/03-seed1; the same command then trains this run again");
  rmSync(place("runs/03-seed1"), { recursive: true });
  expect((await cli(["sweep", "rates.json", ...on], { cwd })).status).toBe(0);
  expect(readFileSync(place("result.json"), "utf8")).toBe(whole);
  writeFileSync(place("sweep.json"), '{"sweep":');
  const damaged = await cli(["sweep", "rates.json", ...on], { cwd });
  expect(damaged.status).toBe(2);
  expect(damaged.stderr).toMatch(
    /^foretoken: rates\/sweep\.json: .*; try another folder, or restoring a copy of this file/u,
  );
});

test("a file in place of the folder, or above it, is refused in one line", async () => {
  const told = async (out: string) => (await cli(["sweep", "rates.json", "--out", out, ...on], { cwd })).stderr;
  expect(await told("text.txt")).toBe(
    "foretoken: sweep: text.txt: the folder must be new, empty or the folder of this sweep; got a file; try another folder\n",
  );
  expect(await told("text.txt/sweep")).toMatch(/^foretoken: out text\.txt\/sweep: .*; got a file in its path.*\n$/u);
});

test("a sweep varies how its runs learn from a teacher, whose path is relative to the file", async () => {
  const shape = ["--model.contextLength", "8", "--model.nLayer", "1", "--model.nHead", "2", "--model.nEmbd", "8"];
  const plan = ["--data", "text.txt", "--steps", "1", "--train.sampleTokens", "0"];
  expect(await cli(["train", ...plan, ...shape, "--out", "teacher", ...on], { cwd })).toMatchObject({ status: 0 });
  const weights = { ...tiny, seeds: [1], vary: { "train.teacher.weight": [0.2, 0.9] } };
  write("taught.json", { ...weights, teacher: ["teacher"] });
  const { status, stdout, stderr } = await cli(["sweep", "taught.json", ...on], { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/train --data text\.txt --teacher teacher --config taught\/winner\.json$/mu);
  // The plan identifies the teacher by its hash and not by its path.
  renameSync(join(cwd, "taught", "result.json"), join(cwd, "kept.json"));
  cpSync(join(cwd, "teacher"), join(cwd, "copy"), { recursive: true });
  write("moved.json", { ...weights, teacher: ["copy"] });
  const moved = await cli(["sweep", join("..", basename(cwd), "moved.json"), "--out", "taught", ...on], { cwd });
  expect(moved.status, moved.stderr).toBe(0);
  expect(swept("taught")).toEqual(JSON.parse(readFileSync(join(cwd, "kept.json"), "utf8")));
  rmSync(join(cwd, "teacher"), { recursive: true });
  const other = ["--train.seed", "9", "--out", "teacher"];
  expect(await cli(["train", ...plan, ...shape, ...other, ...on], { cwd })).toMatchObject({ status: 0 });
  const changed =
    /^foretoken: sweep: taught: the sweep to resume must be unchanged; got another teacher \(its SHA-256 differs\); /u;
  for (const flags of [[], ["--only", "1"]])
    expect((await cli(["sweep", "taught.json", ...flags, ...on], { cwd })).stderr).toMatch(changed);
  // The teacher changed after the plan was checked, just before a run began.
  const planned = JSON.parse(readFileSync(join(cwd, "taught", "sweep.json"), "utf8")) as { teachers: string[] };
  const sha256 = planned.teachers[0] as string;
  rmSync(join(cwd, "taught", "result.json"));
  const description = join(cwd, "taught", "runs", "02-seed1", "run.json");
  const described = readFileSync(description, "utf8");
  writeFileSync(description, described.replaceAll(sha256, "0".repeat(64)));
  expect((await cli(["sweep", "moved.json", "--out", "taught", ...on], { cwd })).stderr).toContain(
    "taught/runs/02-seed1: the run must learn from the sweep's teachers; got another teacher",
  );
  write("untaught.json", weights);
  expect((await cli(["sweep", "untaught.json", ...on], { cwd })).stderr).toContain(
    "train.teacher: must be used with a model to learn from; got no teacher",
  );
});
