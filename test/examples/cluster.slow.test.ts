/** Tests the cluster examples: their flags are flags of `foretoken train`, and the local script works. */
import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, watch, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, onWindows, program, workplace } from "../cli/cli.ts";
import { outcomeOf } from "../outcome-of.ts";

const folder = fileURLToPath(new URL("../../examples/cluster", import.meta.url));
const scripts = ["train.sbatch", "sweep.sbatch", "sweep.sh", "mpi-job.yaml", "README.md"];

let place: Awaited<ReturnType<typeof workplace>>;
let help = "";
beforeAll(async () => {
  place = await workplace();
  help = (await cli(["train", "--help-all"], place)).stdout;
});
afterAll(() => place.remove());

/** Parts of a file that are arguments of `foretoken train`. */
const argumentsIn = (contents: string): string[] => [
  // The scripts store flags in an array.
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
  const known = new Set(flagsIn(help));
  const given = argumentsIn(await readFile(join(folder, name), "utf8")).flatMap(flagsIn);
  expect(given.length).toBeGreaterThan(2);
  expect(given.filter((flag) => !known.has(flag))).toEqual([]);
});

describe.skipIf(onWindows)("sweep.sh", () => {
  const rates = ["1e-3", "2e-3"];
  const seeds = ["1", "2"];
  const clone = join(folder, "../..");
  /** Uses fewer rates and seeds, because each run needs one or two processes. */
  const writeScript = async (name: string, lists: Readonly<Record<"rates" | "seeds", readonly string[]>>) => {
    let script = await readFile(join(folder, "sweep.sh"), "utf8");
    for (const [list, items] of Object.entries(lists)) {
      const asWritten = new RegExp(`^${list}=\\(.*\\)$`, "mu");
      expect(script).toMatch(asWritten);
      script = script.replace(asWritten, `${list}=(${items.join(" ")})`);
    }
    await writeFile(join(place.cwd, name), script);
  };
  beforeAll(() => writeScript("sweep.sh", { rates, seeds }));
  const start = (out: string, args: readonly string[], jobs = "2") => {
    const env = { ...process.env, OUT: out, JOBS: jobs, FORETOKEN: clone };
    return spawn("bash", ["sweep.sh", ...args], {
      cwd: place.cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
  };
  const run = (out: string, ...args: readonly string[]) => outcomeOf(start(out, args));
  const linesOf = (stdout: string) => stdout.split("\n").slice(0, -1).sort();
  const read = (file: string) => readFile(join(place.cwd, file), "utf8");
  const model = ["--model.nLayer", "1", "--model.nHead", "1", "--model.nEmbd", "4", "--model.contextLength", "4"];
  const train = ["--data", "text.txt", ...model, "--backend", "reference", "--batch-size", "1"];
  const names = rates.flatMap((rate) => seeds.map((seed) => `rate ${rate}, seed ${seed}`));
  const pathOf = (name: string) => name.replaceAll(/,? /g, "-");

  it("trains a model for each pair of a rate and a seed", async () => {
    const { status, stdout: said, stderr } = await run("sweep", ...train, "--steps", "1", "--train.sampleTokens", "0");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const list = `sorted by loss: node ${program} runs sweep --sort loss`;
    const begun = names.map((name) => `${name}: begins, log in sweep/${pathOf(name)}.log`);
    expect(linesOf(said)).toEqual([...begun, ...names.map((name) => `${name}: done`), list].sort());
    const { stdout } = await cli(["runs", "sweep", "--sort", "loss", "--json"], place);
    const runs = jsonLines(stdout);
    expect(runs).toHaveLength(4);
    expect(runs.map(({ state }) => state)).toEqual(runs.map(() => "finished"));
    const losses = runs.map(({ best }) => (best as { readonly valLoss: number }).valLoss);
    expect(losses).toEqual([...losses].sort((a, b) => a - b));
    expect(new Set(losses).size).toBe(4);

    const log = await read("sweep/rate-1e-3-seed-1.log");
    const again = await run("sweep", ...train);
    expect({ ...again, stdout: linesOf(again.stdout) }).toEqual({
      status: 0,
      stdout: [...names.map((name) => `${name}: is finished, skipped`), list].sort(),
      stderr: "",
    });
    expect(await read("sweep/rate-1e-3-seed-1.log")).toBe(log);
  });

  it("saves the runs under way on a signal; started again, goes on with them", async () => {
    const out = join(place.cwd, "stopped");
    await mkdir(out);
    const firstTwo = names.slice(0, 2);
    // A signal saves a run only after the first trained step. A resumed run may first write the checkpoint of the step
    // from which it was resumed.
    const parts = (name: string) =>
      readFile(join(out, `${pathOf(name)}.log`), "utf8").then((log) => log.split(/^run /m));
    const trainsFor = async (time: number, name: string) =>
      /^step [\d,]+\/1,000,000/m.test((await parts(name).catch(() => []))[time] ?? "");
    const stopAfterSteps = async (time: number) => {
      const child = start("stopped", [...train, "--steps", "1000000", "--eval-interval", "1"]);
      const ended = outcomeOf(child);
      for await (const _ of watch(out, { signal: AbortSignal.timeout(60_000) })) {
        if ((await Promise.all(firstTwo.map((name) => trainsFor(time, name)))).every(Boolean)) break;
      }
      child.kill("SIGTERM");
      const { stdout, ...rest } = await ended;
      expect(rest).toEqual({ status: 143, stderr: "stopped; to go on: the same command again\n" });
      const runs = jsonLines((await cli(["runs", "stopped", "--json"], place)).stdout);
      expect(runs.map(({ state }) => state)).toEqual(["interrupted", "interrupted"]);
      return { lines: linesOf(stdout), steps: runs.reduce((sum, { step }) => sum + (step as number), 0) };
    };
    const linesWith = (how: string) =>
      firstTwo.flatMap((name) => [`${name}: ${how}, log in stopped/${pathOf(name)}.log`, `${name}: stopped`]).sort();

    const first = await stopAfterSteps(1);
    expect(first.lines).toEqual(linesWith("begins"));
    const second = await stopAfterSteps(2);
    expect(second.lines).toEqual(linesWith("resumes"));
    expect(second.steps).toBeGreaterThan(first.steps);
  });

  it.each(["0", "two"])("refuses JOBS=%s in one line", async (jobs) => {
    expect(await outcomeOf(start("none", [], jobs))).toEqual({
      status: 2,
      stdout: "",
      stderr: `sweep.sh: JOBS must be a whole number from 1 to 9999; got ${jobs}; try JOBS=2\n`,
    });
  });

  it("says which runs have failed, and where it stands why", async () => {
    await writeScript("sweep.sh", { rates: rates.slice(0, 1), seeds });
    await writeFile(join(place.cwd, "short.txt"), "ab");
    const { status, stderr } = await run("other", "--data", "short.txt", "--backend", "reference");
    expect(status).toBe(1);
    const failed = seeds.map((seed) => `rate 1e-3, seed ${seed}: failed, see other/rate-1e-3-seed-${seed}.log`);
    expect(stderr.split("\n").slice(0, -1).sort()).toEqual(failed);
    expect(await read("other/rate-1e-3-seed-1.log")).toMatch(/^foretoken: /m);
  });
});
