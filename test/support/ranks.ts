import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { cli } from "../cli/cli.ts";
import type { Outcome } from "../outcome-of.ts";
import { mpirun, trainOn } from "./mpi.ts";
import { checkpointHashes, smallRun, timelessMetrics } from "./runs.ts";

/** A short training plan. Up to four ranks can share its steps. */
export const plan = {
  ...smallRun.train,
  ...{ gradAccumSteps: 4, steps: 6, evalInterval: 3, checkpointInterval: 4, learningRate: 2e-2 },
};

/** A small run that begins with new weights. */
export const fresh = { preset: "book", ...smallRun, train: plan };

/** A run in which steps explode before the first checkpoint and after it. */
export const exploding = {
  ...fresh,
  train: {
    ...plan,
    ...{ steps: 16, batchSize: 1, learningRate: 0.3, warmupSteps: 0, evalInterval: 10 },
    ...{ schedule: { kind: "cosine", minLearningRate: 1e-4 }, maxLossRatio: 1.05, onNonfinite: "rollback" },
  },
};

/** Writes a configuration to a file. Returns the flags of a run with this configuration. */
export const withConfig = async (
  cwd: string,
  name: string,
  config: object,
  args: readonly string[],
): Promise<readonly string[]> => {
  await writeFile(join(cwd, `${name}.json`), JSON.stringify(config));
  return [...args, "--config", `${name}.json`];
};

/** All results of a run that do not depend on the time, the folder or the number of processes. */
export const leftBy = async (cwd: string, out: string) => {
  const metrics = await timelessMetrics(join(cwd, out));
  return {
    files: await checkpointHashes(join(cwd, out)),
    metrics: JSON.parse(
      JSON.stringify(metrics).replaceAll(join(cwd, out), "").replaceAll(`"${out}/`, '"/'),
    ) as unknown[],
  };
};

const succeeds = async (running: Promise<Outcome>): Promise<void> => {
  const { status, stderr } = await running;
  expect(stderr).not.toContain("foretoken: rank");
  expect(status, stderr).toBe(0);
};

/** Starts `foretoken train` on `ranks` ranks. One rank is a single process without mpirun. The run must succeed. */
export const trainedOn = (ranks: number, args: readonly string[], cwd: string): Promise<void> => {
  const all = [...args, "--backend", "native", "--json"];
  return succeeds(ranks === 1 ? cli(["train", ...all], { cwd }) : mpirun(trainOn(ranks, all), cwd));
};

/** Trains on one process and on `ranks` ranks, and expects the same results. @returns the events of the run. */
export const expectSameOn = async (
  ranks: number,
  args: readonly string[],
  name: string,
  cwd: string,
): Promise<readonly Record<string, unknown>[]> => {
  await trainedOn(1, [...args, "--out", `${name}-1`], cwd);
  await trainedOn(ranks, [...args, "--out", `${name}-${ranks}`], cwd);
  const one = await leftBy(cwd, `${name}-1`);
  expect(await leftBy(cwd, `${name}-${ranks}`)).toEqual(one);
  return one.metrics as Record<string, unknown>[];
};
