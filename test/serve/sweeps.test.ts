import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sweep } from "#foretoken/index.js";
import type { RunListAnswer, RunSeries } from "#foretoken/serve/studio/protocol.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { catText, eventsOf, useStudio } from "./studio.ts";

const page = useStudio();
const others: Studio[] = [];

/** Every file below a folder, with its contents. */
const contentsOf = async (folder: string): Promise<ReadonlyMap<string, string>> => {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return new Map(
    await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const path = `${parentPath}/${name}`;
        return [path, await readFile(path, "latin1")] as const;
      }),
    ),
  );
};

const settings = {
  model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 },
  train: { steps: 6, batchSize: 2, evalInterval: 3, checkpointInterval: 3, warmupSteps: 1 },
  vary: { "train.learningRate": [1e-5, 0.02] },
  seeds: 2,
};
const config = () => ({ ...settings, data: page.path("cat.txt") });
const out = () => page.path("runs", "rates");
const listed = async (): Promise<RunListAnswer> => (await page.get<RunListAnswer>("runs")).body;

beforeAll(async () => {
  await mkdir(page.path("runs"));
  await writeFile(page.path("cat.txt"), catText);
  // The sweep stops at the beginning of its second phase.
  for await (const event of sweep(config(), { out: out(), backend: "reference", threads: 1 }))
    if (event.type === "phase" && event.phase === 2) break;
});
afterAll(() => Promise.all(others.map((studio) => studio.close())));

test("a sweep that has not ended is listed with its settings, and its runs with their names", async () => {
  const { sweeps, runs, skipped } = await listed();
  expect(skipped).toEqual([]);
  expect(runs.map(({ name }) => name).sort()).toEqual(["rates:01-seed1", "rates:02-seed1"]);
  expect(sweeps).toEqual([
    {
      ...{ name: "rates", isRunning: false, seeds: [1, 2], stop: "race", phase: 2, result: null, command: null },
      settings: ["0.00001", "0.02"].map((value, i) => ({
        ...{ name: `learningRate ${value}`, parts: [{ field: "learningRate", value }], steps: 6, ending: null },
        runs: [1, 2].map((seed) => `rates:0${i + 1}-seed${seed}`),
      })),
    },
  ]);
  const { status, body } = await page.get<RunSeries>("runs/rates%3A02-seed1/series");
  expect(status).toBe(200);
  expect(body.evals.step).toEqual([3, 6]);
});

test("the list is sent again while the sweep goes on, up to its result and the command of the winner", async () => {
  const going = (async () => {
    for await (const event of sweep(config(), { out: out(), backend: "reference", threads: 1 }))
      if (event.type === "done") return event.result;
    return undefined;
  })();
  for await (const { data } of eventsOf(await page.stream("events"))) {
    const [found] = (data as unknown as RunListAnswer).sweeps;
    if (found?.result != null && !found.isRunning) break;
  }
  const result = await going;
  const before = await contentsOf(out());
  const { sweeps, runs } = await listed();
  expect(runs).toHaveLength(4);
  expect(sweeps[0]).toMatchObject({ phase: null, result });
  expect(sweeps[0]?.settings.map(({ ending }) => ending)).toEqual(result?.settings.map(({ ending }) => ending));
  expect(sweeps[0]?.command).toBe(
    `npx foretoken train --data ${page.path("cat.txt")} --config ${page.path("runs", "rates", "winner.json")}`,
  );
  // The weights of a sweep's run can write.
  const { body } = await page.get<{ models: { key: string }[] }>("models");
  expect(body.models.map(({ key }) => key)).toContain("runs/rates:02-seed1/best");
  expect(await contentsOf(out())).toEqual(before);
});

test("the folder of a sweep, and the folder of its runs, show the sweep", async () => {
  for (const [folder, name] of [
    [out(), "rates:01-seed1"],
    [page.path("runs", "rates", "runs"), "01-seed1"],
  ] as const) {
    const studio = await startStudio({ folder, port: 0, backend: "wasm", threads: 1 });
    others.push(studio);
    const list = (await (await fetch(new URL("api/v1/runs", studio.url))).json()) as RunListAnswer;
    expect(list.sweeps).toMatchObject([{ name: "rates" }]);
    expect(list.sweeps[0]?.settings[0]?.runs[0]).toBe(name);
    expect(list.runs.map((run) => run.name)).toContain(name);
    expect(list.runs).toHaveLength(4);
    expect(list.skipped).toEqual([]);
  }
});

test("a damaged plan is a skipped folder; a damaged result counts as none", async () => {
  const place = (name: string) => page.path("runs", "rates", name);
  await rename(place("result.json"), place("kept.json"));
  await writeFile(place("result.json"), "{");
  expect((await listed()).sweeps[0]).toMatchObject({ result: null, command: null });
  await rm(place("result.json"));
  const plan = await readFile(place("sweep.json"), "utf8");
  await writeFile(place("sweep.json"), "[]");
  expect(await listed()).toMatchObject({
    sweeps: [],
    skipped: [{ name: "rates", reason: expect.stringContaining("must be the plan of a sweep; got other JSON") }],
  });
  await writeFile(place("sweep.json"), plan);
  await rename(place("kept.json"), place("result.json"));
  expect((await listed()).sweeps).toHaveLength(1);
});

test.each(["progress.json", "result.json"])(
  "a folder, pipe or link in place of %s is a skipped sweep",
  async (file) => {
    const place = page.path("runs", "rates", file);
    const whole = await readFile(place);
    for (const make of [() => mkdir(place), () => execFileSync("mkfifo", [place]), () => symlink(place, place)]) {
      await rm(place, { recursive: true });
      await make();
      const { sweeps, skipped, runs } = await listed();
      expect(sweeps).toEqual([]);
      expect(skipped).toEqual([
        { name: "rates", reason: expect.stringMatching(`${file}: the path must be a regular file`) },
      ]);
      expect(runs).toHaveLength(4);
    }
    await rm(place);
    await writeFile(place, whole);
    expect((await listed()).sweeps).toHaveLength(1);
  },
);

test("a plain folder named like a sweep's run is skipped, and is not shown as this run", async () => {
  const named = page.path("runs", "rates:02-seed1");
  await cp(page.path("runs", "rates", "runs", "01-seed1"), named, { recursive: true });
  const { runs, skipped } = await listed();
  expect(runs).toHaveLength(4);
  expect(skipped).toEqual([{ name: "rates:02-seed1", reason: expect.stringContaining("try renaming the folder") }]);
  await rm(named, { recursive: true });
});

test("a run of a sweep is not trained further than the sweep planned", async () => {
  const { status, body } = await page.post<{ error: { message: string } }>("runs/rates%3A02-seed1/resume", {
    steps: 20,
  });
  expect(status).toBe(409);
  expect(JSON.stringify(body)).toContain("steps must be left out for a run of a sweep");
  expect((await page.summary("rates:02-seed1")).config.train.steps).toBe(6);
});
