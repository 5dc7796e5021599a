import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcomeOf } from "../outcome-of.ts";
import { cliProcess, onWindows, program, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});
afterAll(() => remove());

const sweepOf6 = {
  ...{ data: "text.txt", seeds: 3 },
  model: { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 16 },
  train: { steps: 40, batchSize: 4, evalInterval: 10, checkpointInterval: 10, warmupSteps: 2 },
  vary: {
    "train.learningRate": { from: 0.0003, to: 0.03, count: 3, scale: "log" },
    "model.mlp.hidden": [8, 32],
  },
};
const args = (name: string) => ["sweep", `${name}.json`, "--threads", "1"];

const startOfTable = "\n\n";

test.skipIf(onWindows)(
  "the scripts for Slurm, two tasks at a time, give the same table as one sweep",
  {
    timeout: 600_000,
  },
  async () => {
    const rates = { ...sweepOf6, vary: { "train.learningRate": [0.0003, 0.003, 0.03] } };
    for (const name of ["whole", "array"]) writeFileSync(join(cwd, `${name}.json`), JSON.stringify(rates));
    const whole = await cliProcess(args("whole"), { cwd });
    expect(whole.status, whole.stderr).toBe(0);
    const folder = "job scripts";
    const prepared = await cliProcess([...args("array"), "--jobs", "2", "--slurm", folder], { cwd });
    expect(prepared.status, prepared.stderr).toBe(0);
    const script = (name: string) => join(cwd, folder, name);
    expect(readFileSync(script("runs.sbatch"), "utf8")).toMatch(/^#SBATCH --array=1-9%2$/mu);
    const run = (name: string, task: Readonly<Record<string, string>>) => {
      // Slurm runs a script in another folder than this one.
      const env = { ...process.env, ...task, SLURM_CPUS_PER_TASK: "1", SLURM_JOB_ID: "1" };
      return outcomeOf(spawn("bash", [script(name)], { cwd: "/", env, stdio: ["ignore", "pipe", "pipe"] }));
    };
    const tasks = Array.from({ length: 9 }, (_, i) => i + 1);
    const one = async () => {
      for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
        const { status, stderr } = await run("runs.sbatch", { SLURM_ARRAY_TASK_ID: String(task) });
        expect(status, stderr).toBe(0);
      }
    };
    await Promise.all([one(), one()]);
    const table = await run("table.sbatch", {});
    expect(table.status, table.stderr).toBe(0);
    expect(resultOf("array")).toEqual(resultOf("whole"));
    const shown = (text: string): string => text.slice(text.indexOf(startOfTable)).replaceAll("array", "whole");
    expect(shown(table.stdout)).toBe(shown(whole.stdout));
  },
);

/** The length of a file; 0 if it does not exist. */
const lengthOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

/** Total size of the metrics.jsonl files of all runs. The size grows while a sweep trains. */
const progressOf = (name: string): number => {
  let sum = 0;
  for (let setting = 1; setting <= 6; setting++)
    for (const seed of [1, 2, 3])
      sum += lengthOf(join(cwd, name, "runs", `${String(setting).padStart(2, "0")}-seed${seed}`, "metrics.jsonl"));
  return sum;
};

test.skipIf(onWindows)(
  "a task for Slurm saves its run at SIGTERM, and the next one resumes it",
  async () => {
    const long = { ...sweepOf6, train: { ...sweepOf6.train, steps: 100_000, evalInterval: 1000 } };
    writeFileSync(join(cwd, "long.json"), JSON.stringify(long));
    expect((await cliProcess([...args("long"), "--slurm", "long jobs"], { cwd })).status).toBe(0);
    const notes = join(cwd, "long", "runs", "01-seed2", "metrics.jsonl");
    const lastOf = () => JSON.parse(readFileSync(notes, "utf8").trim().split("\n").at(-1) ?? "") as { step: number };
    const stopped = async () => {
      const from = lengthOf(notes);
      const env = { ...process.env, SLURM_ARRAY_TASK_ID: "2", SLURM_CPUS_PER_TASK: "1", SLURM_JOB_ID: "1" };
      const child = spawn("bash", [join(cwd, "long jobs", "runs.sbatch")], { cwd, env, stdio: "ignore" });
      const ended = once(child, "exit");
      while (!isOver(child) && lengthOf(notes) < from + 1000) await new Promise((resolve) => setImmediate(resolve));
      child.kill("SIGTERM");
      expect(await ended).toEqual([143, null]);
      return lastOf();
    };
    const first = await stopped();
    expect(first).toMatchObject({ type: "done", reason: "interrupted" });
    expect((await stopped()).step).toBeGreaterThan(first.step);
  },
  600_000,
);

const isOver = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

/** Kills a sweep after its runs have written a given number of additional bytes. */
const killedAfter = async (name: string, bytes: number): Promise<void> => {
  const child = spawn(process.execPath, [program, ...args(name)], { cwd, stdio: "ignore" });
  const ended = once(child, "exit");
  const from = progressOf(name);
  while (!isOver(child) && progressOf(name) < from + bytes) await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGKILL");
  await ended;
};

const resultOf = (name: string): unknown => JSON.parse(readFileSync(join(cwd, name, "result.json"), "utf8"));

test("6 settings with 3 seeds, killed five times, end with the same table as without a kill", {
  timeout: 600_000,
}, async () => {
  for (const [name, stop, kills] of [
    ["race", undefined, 5],
    ["halving", { kind: "halving" }, 2],
  ] as const) {
    for (const each of [name, `${name}-killed`]) {
      writeFileSync(join(cwd, `${each}.json`), JSON.stringify({ ...sweepOf6, stop }));
    }
    const whole = await cliProcess(args(name), { cwd });
    expect(whole.status, whole.stderr).toBe(0);
    const bytes = progressOf(name) / (kills + 2);
    for (let kill = 0; kill < kills; kill++) {
      await killedAfter(`${name}-killed`, bytes);
      expect(existsSync(join(cwd, `${name}-killed`, "result.json")), `kill ${kill + 1}`).toBe(false);
    }
    const last = await cliProcess(args(`${name}-killed`), { cwd });
    expect(last.status, last.stderr).toBe(0);
    expect(resultOf(`${name}-killed`)).toEqual(resultOf(name));
    const table = (text: string): string => text.slice(text.indexOf("\n\n")).replaceAll("-killed", "");
    expect(table(last.stdout)).toBe(table(whole.stdout));
  }
});
