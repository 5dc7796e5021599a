/** Runs on several ranks, with the real mpirun. The results have the same bits as on one process. */
import { existsSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, cliProcess, jsonLines, program, workplace } from "../../cli/cli.ts";
import type { Outcome } from "../../outcome-of.ts";
import { missingMpi, mpirun, mpiTitle, ours, trainOn } from "../../support/mpi.ts";
import { checkpointHashes, smallMuonRun, smallRun, timelessMetrics } from "../../support/runs.ts";

const train = { gradAccumSteps: 4, steps: 8, checkpointInterval: 4 };
const configs = {
  adamw: { preset: "book", ...smallRun, train: { ...smallRun.train, ...train } },
  muon: { preset: "shakespeare", ...smallMuonRun, train: { ...smallMuonRun.train, ...train } },
} as const;

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
  for (const [name, config] of Object.entries(configs)) {
    await writeFile(join(place.cwd, `${name}.json`), JSON.stringify(config));
  }
});
afterAll(() => place.remove());

const flags = (config: string, out: string, dtype = "float32"): string[] => [
  ...["--data", "text.txt", "--backend", "native", "--config", `${config}.json`, "--dtype", dtype],
  ...["--out", out, "--json"],
];

/** The types of the printed events. */
const told = (stdout: string): string[] =>
  jsonLines(stdout)
    .map(({ type }) => String(type))
    .filter((type) => ["step", "done"].includes(type));

/** All results of a run that do not depend on the time or on the number of processes. */
const left = async (out: string) => ({
  files: await checkpointHashes(join(place.cwd, out)),
  metrics: await timelessMetrics(join(place.cwd, out)),
});

const checked = async (running: Promise<Outcome>): Promise<Outcome> => {
  const outcome = await running;
  const { status, stderr } = outcome;
  expect(stderr).not.toContain("foretoken:");
  expect(status, stderr).toBe(0);
  return outcome;
};

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks of mpirun"), () => {
  it.each([
    ["adamw", "float32"],
    ["adamw", "bfloat16"],
    ["muon", "float32"],
    ["muon", "bfloat16"],
  ])("2 and 4 have the bits of one process, and rank 0 alone speaks: %s, %s, with dropout", async (config, dtype) => {
    const name = `${config}-${dtype}`;
    await checked(cli(["train", ...flags(config, `${name}-1`, dtype)], { cwd: place.cwd }));
    const one = await left(`${name}-1`);
    for (const ranks of [2, 4]) {
      const out = `${name}-${ranks}`;
      const { stdout } = await checked(mpirun(trainOn(ranks, flags(config, out, dtype)), place.cwd));
      expect(told(stdout)).toEqual([...Array(train.steps).fill("step"), "done"]);
      expect(await left(out), `${ranks} ranks`).toEqual(one);
    }
  });

  it("a run saved on 4 goes on with the same bits on 1 and on 2", async () => {
    await checked(cli(["train", ...flags("muon", "whole")], { cwd: place.cwd }));
    const whole = await left("whole");
    await checked(mpirun(trainOn(4, [...flags("muon", "part-1"), "--stop-at", "5"]), place.cwd));
    await cp(join(place.cwd, "part-1"), join(place.cwd, "part-2"), { recursive: true });
    const again = (out: string): string[] => ["--resume", out, "--backend", "native", "--json"];
    await checked(cli(["train", ...again("part-1")], { cwd: place.cwd }));
    await checked(mpirun(trainOn(2, again("part-2")), place.cwd));
    expect(await left("part-1")).toEqual(whole);
    expect(await left("part-2")).toEqual(whole);
  });

  it("with different folders are refused before anything is written", async () => {
    const rank = (...args: readonly string[]) => ["-n", "1", process.execPath, program, "train", ...args];
    const about = ["--data", "text.txt", "--json"];
    const { status, stdout, stderr } = await mpirun(
      [...rank(...about, "--out", "one"), ":", ...rank(...about, "--out", "other")],
      place.cwd,
    );
    expect(ours(stderr)).toEqual([
      "foretoken: rank 1 of 2: must have the run's folder (out) of rank 0; got other and one",
    ]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    for (const name of ["one", "other"]) expect(existsSync(join(place.cwd, name))).toBe(false);
  });

  it("info names the library", async () => {
    const { stdout } = await cliProcess(["info", "--json"], place);
    const { mpi } = JSON.parse(stdout) as { readonly mpi: unknown };
    expect(mpi).toEqual({ available: true, library: expect.stringMatching(/^Open MPI v\d+\.\d+\.\d+$/) });
  });

  it("are refused where the addon's library does not know the launcher", async () => {
    const env = { PMI_RANK: "0", PMI_SIZE: "2" };
    const { status, stderr } = await cliProcess(["train", ...flags("adamw", "alone")], { cwd: place.cwd, env });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /^foretoken: mpirun: the addon's MPI must be the launcher's MPI, .* 2 ranks; got 1 in Open MPI v/m,
    );
    expect(existsSync(join(place.cwd, "alone"))).toBe(false);
  });
});
