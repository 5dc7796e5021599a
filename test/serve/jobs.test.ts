import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createJobs } from "#foretoken/serve/studio/jobs.js";
import { openShelf } from "#foretoken/serve/studio/runs.js";
import { createTurns } from "#foretoken/serve/studio/turns.js";
import { train } from "#foretoken/worker/train.node.js";
import { catText, smallRun, useStudio } from "./studio.ts";

const page = useStudio();
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-jobs-"));
});

afterAll(() => rm(folder, { recursive: true }));

test("a run that was killed, then resumed and stopped before its first event, is one that was stopped", async () => {
  const out = join(folder, "killed");
  const { config } = smallRun("", 12);
  const options = { text: catText, out, config: config as object, backend: "wasm", threads: 1 } as const;
  for await (const event of train(options)) if (event.type === "step" && event.step === 6) break;
  const jobs = createJobs(
    createTurns(() => {}),
    () => {},
  );
  const shelf = openShelf(folder, jobs);
  expect((await shelf.find("killed")).summary).toMatchObject({ state: "unfinished", hasCheckpoint: true });
  const begun = jobs.start("killed", { resume: out, backend: "wasm", threads: 1 });
  expect(jobs.stop("killed")).toBe(true);
  await expect(begun).rejects.toThrow("studio: the run was stopped before it began");
  expect((await shelf.find("killed")).summary).toMatchObject({ state: "interrupted", owner: null, failure: null });

  // From here on, the events of the run contain its end.
  await jobs.start("killed", { resume: out, backend: "wasm", threads: 1 });
  await jobs.close();
  const notes = join(out, "metrics.jsonl");
  const text = await readFile(notes, "utf8");
  await writeFile(notes, text.slice(0, text.trimEnd().lastIndexOf("\n") + 1));
  expect((await shelf.find("killed")).summary.state).toBe("unfinished");
});

test("a run that is stopped while it reads its text is gone at once, and is not said to be saved", async () => {
  const jobs = createJobs(
    createTurns(() => {}),
    () => {},
  );
  const { config } = smallRun("", 12);
  const options = { text: catText, out: join(folder, "early"), config: config as object, backend: "wasm" } as const;
  const begun = jobs.start("early", options);
  const closed = jobs.close();
  await expect(begun).rejects.toThrow("studio: the run was stopped before it began");
  expect(await closed).toBeUndefined();
});

test("a run that failed tells so on, until another start of it has succeeded", async () => {
  const failed: string[] = [];
  const jobs = createJobs(
    createTurns(() => {}),
    () => {},
    (name, line) => failed.push(`${name}: ${line}`),
  );
  const { config } = smallRun("", 100_000);
  const out = join(folder, "lost");
  await jobs.start("lost", { text: catText, out, config: config as object, backend: "wasm", threads: 1 });
  // The run writes into this folder at the same time, so the removal may need several tries.
  await rm(out, { recursive: true, maxRetries: 50, retryDelay: 10 });
  while (jobs.current() !== undefined) await new Promise((resolve) => setImmediate(resolve));
  const failure = jobs.failureOf("lost");
  expect(failure).toContain("lost");
  expect(failed).toEqual([`lost: ${failure}`]);
  await expect(jobs.start("lost", { resume: out, backend: "wasm" })).rejects.toThrow();
  expect(jobs.failureOf("lost")).toBe(failure);
});

test("a run whose folder cannot be made says so in the words of the library", async () => {
  await writeFile(page.path("runs"), "a file in the place of the folder of runs");
  const { status, body } = await page.post("runs", smallRun("first", 2));
  expect(status).toBe(400);
  expect(body.error).toMatch(
    /: it must be possible to create the folder and write to it; got a file in its path; try /u,
  );
});
