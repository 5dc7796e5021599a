import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ConfigError, plotRuns } from "#foretoken/index.js";
import { readChart } from "../plot/read-svg.ts";
import { cli, jsonLines, onWindows, tiny, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  for (const [name, rate] of [
    ["runs/one", "0.01"],
    ["runs/two", "0.02"],
  ] as const) {
    await cli(["train", ...tiny, "--learning-rate", rate, "--out", name], { cwd });
  }
});
afterAll(() => remove());

const read = (name: string): Promise<string> => readFile(join(cwd, name), "utf8");

test("draws the steps and the evaluations that the run has noted", async () => {
  const { stdout, stderr, status } = await cli(["plot", "runs/one"], { cwd });
  expect([stdout, stderr, status]).toEqual(["one.svg: the loss of 1 run\n", "", 0]);
  const chart = readChart(await read("one.svg"));
  const noted = jsonLines(await read("runs/one/metrics.jsonl"));
  const paths = chart.paths("line dash-0");
  for (const [i, [type, field]] of (
    [
      ["step", "loss"],
      ["eval", "valLoss"],
    ] as const
  ).entries()) {
    const events = noted.filter((event) => event.type === type);
    expect(paths[i]).toHaveLength(events.length);
    for (const [j, [x, y]] of (paths[i] ?? []).entries()) {
      expect(Math.abs(x - Number(events[j]?.step))).toBeLessThan(chart.unit.x);
      expect(Math.abs(y - Number(events[j]?.[field]))).toBeLessThan(chart.unit.y);
    }
  }
  // A command may overwrite a file that `plot` wrote.
  expect((await cli(["plot", "runs/one", "--metric", "grad-norm", "--log"], { cwd })).status).toBe(0);
  expect(await read("one.svg")).toContain("<title>Gradient norm of one</title>");
});

test("draws several runs over each other, with what is not the same in them", async () => {
  const { stdout, status } = await cli(["plot", "runs/one", "runs/two"], { cwd });
  expect([stdout, status]).toEqual(["one-and-1-more.svg: the loss of 2 runs\n", 0]);
  const svg = await read("one-and-1-more.svg");
  for (const rate of ["0.01", "0.02"]) expect(svg).toContain(`>train.learningRate ${rate}</text>`);
  expect(svg).not.toMatch(/train\.batchSize/u);
});

test("writes the file, or the numbers, to standard output", async () => {
  const drawn = await cli(["plot", "runs/two", "--out", "-", "--x", "tokens"], { cwd });
  expect(drawn.stdout).toMatch(/^<svg [\s\S]*<\/svg>\n$/u);
  const { stdout } = await cli(["plot", "runs/one", "--csv", "--out", "-"], { cwd });
  const rows = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(","));
  const steps = jsonLines(await read("runs/one/metrics.jsonl")).filter(({ type }) => type === "step");
  expect(rows.slice(1).map(([name, step, , , loss]) => [name, Number(step), Number(loss)])).toEqual(
    steps.map(({ step, loss }) => ['"one"', step, loss]),
  );
  expect((await readdir(cwd)).filter((name) => name.startsWith("two") || name.endsWith(".csv"))).toEqual([]);
});

test("draws the same as the library's plotRuns", async () => {
  const inFolder = (name: string): string => join(cwd, name);
  const drawn = await cli(
    ["plot", "runs/one", "runs/two", "--metric", "grad-norm", "--x", "time", "--log", "--out", "-"],
    {
      cwd,
    },
  );
  const runs = [inFolder("runs/one"), inFolder("runs/two")];
  expect(await plotRuns(runs, { metric: "grad-norm", x: "time", log: true })).toBe(drawn.stdout);
  const plain = await cli(["plot", "runs/one", "--out", "-"], { cwd });
  expect(await plotRuns([inFolder("runs/one")])).toBe(plain.stdout);
  for (const [folders, said] of [
    [[], "plotRuns: folders: must be a list of one or more paths; got []"],
    [[cwd], "must be a run's folder"],
    [Array.from({ length: 9 }, () => inFolder("runs/one")), "plotRuns: a chart can show at most 8 runs"],
  ] as const) {
    const error = await plotRuns(folders).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain(said);
  }
});

test("overwrites no file that it has not written", async () => {
  await writeFile(join(cwd, "mine.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>");
  await mkdir(join(cwd, "folder.svg"));
  await writeFile(join(cwd, "empty.svg"), "");
  for (const name of ["mine.svg", "text.txt", "folder.svg"]) {
    const { status, stderr } = await cli(["plot", "runs/one", "--out", name], { cwd });
    expect(stderr).toBe(
      `foretoken: --out: must be a new file, or a file written by plot; got ${name}, which is another file; try another name, or - for standard output\n`,
    );
    expect(status).toBe(2);
  }
  expect(await read("mine.svg")).toBe("<svg xmlns='http://www.w3.org/2000/svg'/>");
  expect((await cli(["plot", "runs/one", "--out", "empty.svg"], { cwd })).status).toBe(0);
  // The existing file is a chart, so a table must not overwrite it.
  expect((await cli(["plot", "runs/one", "--csv", "--out", "empty.svg"], { cwd })).status).toBe(2);
  expect((await cli(["plot", "runs/one", "--csv"], { cwd })).stdout).toBe("one.csv: the numbers of 1 run\n");
  expect((await cli(["plot", "runs/one", "--csv"], { cwd })).status).toBe(0);
  // A file with the first line of our tables and the user's own rows.
  const [head] = (await read("one.csv")).split("\n");
  await writeFile(join(cwd, "mine.csv"), `${head}\nmy,notes,1,2\n`);
  expect((await cli(["plot", "runs/one", "--csv", "--out", "mine.csv"], { cwd })).status).toBe(2);
  expect(await read("mine.csv")).toBe(`${head}\nmy,notes,1,2\n`);
  expect((await cli(["plot", "runs/one", "--csv", "--out", "no/where.csv"], { cwd })).stderr).toBe(
    "foretoken: --out: must be in an existing folder; got no/where.csv; try mkdir -p no\n",
  );
  expect((await cli(["plot", "runs/one", "--csv", "no/where.csv"], { cwd })).stderr).toBe(
    "foretoken: <run...>: must be folders of runs; got no/where.csv; try --out no/where.csv for the name of the result\n",
  );
});

test("leaves a chart that is read-only as it is", async () => {
  expect((await cli(["plot", "runs/one", "--out", "kept.svg"], { cwd })).status).toBe(0);
  const before = await read("kept.svg");
  await chmod(join(cwd, "kept.svg"), 0o444);
  const { status, stderr } = await cli(["plot", "runs/two", "--out", "kept.svg"], { cwd });
  expect(stderr).toBe(
    "foretoken: --out: must be a new file, or a file written by plot; got kept.svg, which is read-only; try another name, or - for standard output\n",
  );
  expect(status).toBe(2);
  expect(await read("kept.svg")).toBe(before);
});

test.skipIf(onWindows)("follows no link to another file, and names a run of any name as text", async () => {
  await symlink(join(cwd, "text.txt"), join(cwd, "link.svg"));
  expect((await cli(["plot", "runs/one", "--out", "link.svg"], { cwd })).status).toBe(2);
  const name = '<script>"&\u001b[31m\n';
  await cli(["train", ...tinyWith("--steps", "2"), "--out", `runs/${name}`], { cwd });
  const { stdout, status, stderr } = await cli(["plot", `runs/${name}`], { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).not.toMatch(/\u001b|\n./u);
  const svg = await readFile(join(cwd, `${name}.svg`), "utf8");
  expect(svg).toContain("<title>Loss of &lt;script&gt;&quot;&amp;\\u001b[31m\\n</title>");
  expect(svg).not.toMatch(/<script|\u001b/u);
});

test("says in one line what cannot be drawn", async () => {
  await mkdir(join(cwd, "other"));
  await mkdir(join(cwd, "new"));
  await writeFile(join(cwd, "new/run.json"), await read("runs/one/run.json"));
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /plot: <run> must be given|run/u],
    [["nowhere"], /nowhere: must be a folder of runs; got no such folder/u],
    [["text.txt"], /text\.txt: must be a folder of runs; got a file/u],
    [["other"], /other: must be a run's folder; got a folder without run\.json; try npx foretoken runs/u],
    [["runs"], /runs: must be a run's folder; got a folder with \d runs; try runs\/./u],
    [["new"], /new: a run must have steps to draw; got none yet/u],
    [Array<string>(9).fill("runs/one"), /a chart can show at most 8 runs; got 9/u],
    [["runs/one", "--metric", "accuracy"], /--metric: must be loss, /u],
    [["runs/one", "--x", "epochs"], /--x: must be steps, tokens or time; got "epochs"/u],
  ];
  for (const [args, message] of wrong) {
    const { status, stderr, stdout } = await cli(["plot", ...args], { cwd });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^foretoken: .*\n$/u);
    expect([status, stdout]).toEqual([2, ""]);
  }
  // One of several runs may have no steps yet.
  expect((await cli(["plot", "runs/one", "new", "--out", "-"], { cwd })).stdout).toContain("no steps yet");
});

test("warns of losses that do not compare", async () => {
  await writeFile(join(cwd, "more.txt"), `${await read("text.txt")}zzz\n`);
  await cli(["train", ...tinyWith("--data", "more.txt"), "--out", "runs/more"], { cwd });
  const { stderr, status } = await cli(["plot", "runs/one", "runs/more", "--out", "-"], { cwd });
  expect([stderr, status]).toEqual([
    "these runs have different texts or tokenizers, so their losses per token cannot be compared\n",
    0,
  ]);
  await rm(join(cwd, "runs/more"), { recursive: true });
});
