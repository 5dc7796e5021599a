import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cliProcess, program, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});
afterAll(() => remove());

const sweepOf12 = {
  ...{ data: "text.txt", seeds: 3 },
  model: { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 16 },
  train: { steps: 40, batchSize: 4, evalInterval: 10, checkpointInterval: 10, warmupSteps: 2 },
  vary: {
    "train.learningRate": { from: 0.0003, to: 0.03, count: 4, scale: "log" },
    "model.mlp.hidden": [8, 16, 32],
  },
};
const args = (name: string) => ["sweep", `${name}.json`, "--threads", "1"];

/** Length of a file in bytes; 0 if the file does not exist. */
const lengthOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

/** Total size of the metrics.jsonl files of all runs. The size grows while a sweep trains. */
const progressOf = (name: string): number => {
  let sum = 0;
  for (let setting = 1; setting <= 12; setting++)
    for (const seed of [1, 2, 3])
      sum += lengthOf(join(cwd, name, "runs", `${String(setting).padStart(2, "0")}-seed${seed}`, "metrics.jsonl"));
  return sum;
};

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

test("12 settings with 3 seeds, killed five times, end with the same table as without a kill", {
  timeout: 600_000,
}, async () => {
  for (const [name, stop, kills] of [
    ["race", undefined, 5],
    ["halving", { kind: "halving" }, 2],
  ] as const) {
    for (const each of [name, `${name}-killed`]) {
      writeFileSync(join(cwd, `${each}.json`), JSON.stringify({ ...sweepOf12, stop }));
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
