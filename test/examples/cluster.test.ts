/** The examples for clusters: their flags are flags of `foretoken train`, and the local loop runs. */
import { spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, onWindows, program, workplace } from "../cli/cli.ts";
import { outcomeOf } from "../outcome-of.ts";

const folder = fileURLToPath(new URL("../../examples/cluster", import.meta.url));
const scripts = ["train.sbatch", "sweep.sbatch", "sweep.sh", "mpi-job.yaml", "README.md"];

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(() => place.remove());

/** Parts of a file that are arguments of `foretoken train`. */
const argumentsIn = (contents: string): string[] => [
  // The scripts gather flags in an array.
  ...[...contents.matchAll(/flags=\((.*)\)/g)].map(([, flags = ""]) => flags),
  ...[...contents.matchAll(/(?:\btrain "\$\{flags\[@\]\}"|\b(?:train|sweep)\.(?:sbatch|sh)) (.*)/g)].map(
    ([, flags = ""]) => flags,
  ),
];
const flagsIn = (part: string): string[] => part.match(/--[a-z][\w.-]*/gi) ?? [];

it("has no other files", async () => {
  expect((await readdir(folder)).sort()).toEqual([...scripts, "Dockerfile", "Dockerfile.dockerignore"].sort());
});

it.each(scripts)("%s gives train flags that it has", async (name) => {
  const { stdout } = await cli(["train", "--help"], place);
  const known = new Set(flagsIn(stdout));
  const given = argumentsIn(await readFile(join(folder, name), "utf8")).flatMap(flagsIn);
  expect(given.length).toBeGreaterThan(2);
  expect(given.filter((flag) => !known.has(flag))).toEqual([]);
});

describe.skipIf(onWindows)("sweep.sh", () => {
  const run = async (out: string, ...args: readonly string[]) => {
    const env = { ...process.env, FORETOKEN: `${process.execPath} ${program}`, OUT: out, JOBS: "2" };
    return outcomeOf(
      spawn("bash", [join(folder, "sweep.sh"), ...args], { cwd: place.cwd, env, stdio: ["ignore", "pipe", "pipe"] }),
    );
  };

  it("trains a model for each pair of a rate and a seed", async () => {
    const model = ["--model.nLayer", "1", "--model.nHead", "1", "--model.nEmbd", "4", "--model.contextLength", "4"];
    const train = ["--backend", "reference", "--batch-size", "1", "--steps", "1", "--train.sampleTokens", "0"];
    expect(await run("sweep", "--data", "text.txt", ...model, ...train)).toEqual({ status: 0, stdout: "", stderr: "" });
    const { stdout } = await cli(["runs", "sweep", "--sort", "loss", "--json"], place);
    const runs = jsonLines(stdout);
    expect(runs).toHaveLength(9);
    expect(runs.map(({ state }) => state)).toEqual(runs.map(() => "finished"));
    const losses = runs.map(({ best }) => (best as { readonly valLoss: number }).valLoss);
    expect(losses).toEqual([...losses].sort((a, b) => a - b));
    expect(new Set(losses).size).toBe(9);
  });

  it("says which runs have failed, and where it stands why", async () => {
    await writeFile(join(place.cwd, "short.txt"), "ab");
    const { status, stderr } = await run("other", "--data", "short.txt", "--backend", "reference");
    expect(status).toBe(1);
    expect(stderr.split("\n").slice(0, -1).sort()[0]).toBe("rate 1e-3, seed 1: failed, see other/rate-1e-3-seed-1.log");
    expect(await readFile(join(place.cwd, "other/rate-1e-3-seed-1.log"), "utf8")).toMatch(/^foretoken: /m);
  });
});
