import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { listRuns } from "#foretoken/index.js";
import type { NotedEval } from "#foretoken/runs/noted-events.js";
import { goOn, newStory, runReadme } from "#foretoken/runs/write/run-readme.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, checkpointHashes, collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath, writeText } = useFolder();
const read = (...path: string[]): Promise<string> => readFile(join(...path), "utf8");

let data = "";
/** A folder with several runs. Each run ended in another way. */
let runs = "";

/** Twelve steps with an evaluation every five steps. */
const start = (out: string, config: object = {}) => {
  const settings = { ...tinyRun, train: { ...tinyRun.train, ...config } };
  return { preset: "book", config: settings, data, out, ...anyBackend, finalSampleTokens: 5 } as const;
};

beforeAll(async () => {
  data = await writeText(wordsText("run-folder", 300));
  runs = newPath();
  await collect(train(start(join(runs, "whole"))));
  await collect(train({ ...start(join(runs, "half")), stopAt: 7 }));
  for await (const event of train(start(join(runs, "killed")))) if (event.type === "step" && event.step === 3) break;
  // The learning rate is so small that nothing changes.
  const still = { learningRate: 1e-30, schedule: { kind: "constant" }, warmupSteps: 0, patience: 1, evalInterval: 2 };
  await collect(train(start(join(runs, "tired"), still)));
  // The order is neither the order of creation nor the order of the names.
  const order = ["tired", "half", "whole", "killed"];
  for (const [i, name] of order.entries()) await utimes(join(runs, name, "run.json"), 1e9, 1e9 - 100 * i);
}, 60_000);

describe("the list of runs", () => {
  it("tells of each how far it is, how it ended and what was best, newest first", async () => {
    const { runs: listed, skipped } = await listRuns(runs);
    expect(skipped).toEqual([]);
    expect(listed.map(({ name, state, step, steps }) => [name, state, step, steps])).toEqual([
      ["tired", "patience", 4, 12],
      ["half", "interrupted", 7, 12],
      ["whole", "finished", 12, 12],
      ["killed", "unfinished", 3, 12],
    ]);
    const [, half, whole, killed] = listed;
    const state = JSON.parse(await read(runs, "whole", "checkpoint", "trainer_state.json")) as {
      progress: { best: { step: number; valLoss: number } };
    };
    expect(whole?.best).toMatchObject(state.progress.best);
    expect(whole).toMatchObject({
      path: join(runs, "whole"),
      checkpoint: join(runs, "whole", "checkpoint"),
      startedAt: new Date(1e12 - 2e5).toISOString(),
      preset: null,
      corpus: expect.stringMatching(/\.txt$/u),
    });
    // The evaluation at the stop, at step 7, was not planned.
    expect(half?.best?.step).toBe(5);
    expect(killed).toMatchObject({ best: null, checkpoint: null });
    expect(killed?.parameters).toBe(whole?.parameters);
  });

  // Other file systems replace such a time by their latest time.
  it.skipIf(!existsSync("/dev/shm"))("has a run whose files are of a time that no date has", async () => {
    const folder = await mkdtemp("/dev/shm/foretoken-");
    try {
      await cp(join(runs, "half"), join(folder, "half"), { recursive: true });
      await utimes(join(folder, "half", "run.json"), 9e12, 9e12);
      const { runs: listed, skipped } = await listRuns(folder);
      expect(skipped).toEqual([]);
      expect(listed).toMatchObject([{ name: "half", startedAt: "+275760-09-13T00:00:00.000Z" }]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("names the preset of a run with other steps and another seed", async () => {
    const out = newPath();
    for await (const event of train({ ...start(out), preset: "quick", config: { train: { steps: 5, seed: 9 } } })) {
      if (event.type === "step") break;
    }
    expect((await listRuns(out)).runs).toMatchObject([
      { preset: "quick", steps: 5, step: 1, parameters: expect.any(Number) },
    ]);
  });

  it("passes over what is no run or damaged, with the reason, and changes nothing", async () => {
    const folder = newPath();
    await cp(join(runs, "whole"), join(folder, "good"), { recursive: true, preserveTimestamps: true });
    for (const name of ["not-json", "newer", "unknown-key", "cut-metrics", "odd-metrics", "no-metrics"])
      await cp(join(runs, "half"), join(folder, name), { recursive: true });
    await writeFile(join(folder, "not-json", "run.json"), '{ "formatVersion": 1,');
    const description = JSON.parse(await read(folder, "newer", "run.json")) as object;
    await writeFile(join(folder, "newer", "run.json"), JSON.stringify({ ...description, formatVersion: 99, more: 1 }));
    await writeFile(join(folder, "unknown-key", "run.json"), JSON.stringify({ ...description, more: 1 }));
    const metrics = await read(folder, "half".replace("half", "cut-metrics"), "metrics.jsonl");
    const cut = metrics.slice(0, metrics.lastIndexOf('{"v":1,"type":"step"') + 30);
    await writeFile(join(folder, "cut-metrics", "metrics.jsonl"), cut);
    await appendFile(
      join(folder, "odd-metrics", "metrics.jsonl"),
      'null\n[]\n{"type":"eval","step":9,"valLoss":"low"}\n{"type":"nonsense","step":99}\n{"v":1,"type":"step","step":"9"}\n\n',
    );
    await rm(join(folder, "no-metrics", "metrics.jsonl"));
    await mkdir(join(folder, "foreign"));
    await mkdir(join(folder, "folder-for-a-file", "run.json"), { recursive: true });
    await mkdir(join(folder, ".hidden"));
    await writeFile(join(folder, "notes.txt"), "notes");
    const before = await readdir(folder, { recursive: true });

    const { runs: listed, skipped } = await listRuns(folder);
    expect(Object.fromEntries(listed.map(({ name, step, state }) => [name, [step, state]]))).toEqual({
      good: [12, "finished"],
      "cut-metrics": [6, "unfinished"],
      "odd-metrics": [7, "unfinished"],
      "no-metrics": [0, "unfinished"],
    });
    expect(Object.fromEntries(skipped.map(({ path, reason }) => [path.slice(folder.length + 1), reason]))).toEqual({
      foreign: "not a run: it has no run.json",
      "folder-for-a-file": expect.stringMatching(/run\.json/u),
      "not-json": expect.stringMatching(/run\.json: the file must be JSON/u),
      newer: expect.stringMatching(/the format version must be 1 or less; got 99/u),
      "unknown-key": expect.stringMatching(/every key must be a known one; got "more"/u),
    });
    expect(await readdir(folder, { recursive: true })).toEqual(before);
  });

  it("refuses what is no folder", async () => {
    await expect(listRuns(newPath())).rejects.toThrow(CheckpointError);
    await expect(listRuns(data)).rejects.toThrow(/must be a folder of runs; got a file/u);
    const empty = newPath();
    await mkdir(empty);
    expect(await listRuns(empty)).toEqual({ runs: [], skipped: [] });
  });
});

describe("a run's own page", () => {
  it("is that of an uninterrupted run once it has been resumed to the end, and so are the samples", async () => {
    const out = newPath();
    await collect(train({ ...start(out), stopAt: 2 }));
    for (const stopAt of [5, 8]) await collect(train({ resume: out, ...anyBackend, stopAt }));
    await collect(train({ resume: out, ...anyBackend }));
    for (const file of ["README.md", "samples.txt"])
      expect(await read(out, file)).toBe(await read(runs, "whole", file));
    expect((await readdir(out)).sort()).toEqual((await readdir(join(runs, "whole"))).sort());
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(join(runs, "whole")));
  });

  it("says what the run is, how far it came, and how to go on", async () => {
    const whole = await read(runs, "whole", "README.md");
    const half = await read(runs, "half", "README.md");
    const killed = await read(runs, "killed", "README.md");
    expect(whole).toContain("| state | finished: 12 of 12 steps |");
    expect(whole).toMatch(/^npx foretoken train --resume \. --steps 36 +# train longer/mu);
    expect(half).toContain("| state | stopped after 7 of 12 steps |");
    expect(half).toContain("npx foretoken train --resume . ");
    expect(killed).toContain("| state | not finished: 0 of 12 steps when this page was written |");
    expect(killed).toContain("No loss has been measured yet.");
    expect(killed).not.toContain("foretoken generate");
    for (const page of [whole, half]) {
      expect(page).toContain('npx foretoken generate . --prompt "');
      expect(page).toContain('from_pretrained("best")');
      expect(page).not.toContain('from_pretrained("checkpoint")');
      expect(page).toMatch(/\| 5 \| \d\.\d{4} \| \d\.\d{4} \| \d\.\d{4} \| (?:best)? \|/u);
    }
  });

  it("has the best loss of the list of runs, also where a kill came between an evaluation and the checkpoint", async () => {
    const out = newPath();
    for await (const event of train(start(out))) if (event.type === "step" && event.step === 7) break;
    const [listed] = (await listRuns(out)).runs;
    expect(listed?.best?.step).toBe(5);
    const best = `| best | ${listed?.best?.valLoss.toFixed(4)} nats/token on held-out data, at step 5 |`;
    expect(await read(out, "README.md")).toContain(best);
    expect(await read(out, "README.md")).toContain(
      "| state | not finished: 5 of 12 steps when this page was written |",
    );
    for (const name of ["whole", "half"]) {
      const { best: told } = (await listRuns(join(runs, name))).runs[0] ?? expect.fail("no run");
      const row = `| best | ${told?.valLoss.toFixed(4)} nats/token on held-out data, at step ${told?.step} |`;
      expect(await read(runs, name, "README.md")).toContain(row);
    }
  });

  it("names every file that is there, and none that is not", async () => {
    for (const name of ["whole", "half", "killed"]) {
      const page = await read(runs, name, "README.md");
      const named = [...page.matchAll(/^\| `([\w.-]+?)\/?` \|/gmu)].map(([, file]) => file);
      const there = (await readdir(join(runs, name))).filter((file) => file !== "README.md");
      expect([...named].sort(), name).toEqual(there.sort());
    }
  });

  it("is that of a finished run also where the process ended before it could say so", async () => {
    const out = newPath();
    for await (const event of train(start(out))) if (event.type === "checkpoint" && event.step === 12) break;
    expect(await read(out, "metrics.jsonl")).not.toContain('"done"');
    expect(await read(out, "README.md")).toBe(await read(runs, "whole", "README.md"));
    expect((await listRuns(out)).runs).toMatchObject([{ state: "finished", step: 12 }]);
  });

  it("tells of the best weights once there are some", async () => {
    const out = newPath();
    await collect(train({ ...start(out), stopAt: 4 }));
    const page = await read(out, "README.md");
    expect(page).toContain("foretoken generate . ");
    expect(page).not.toContain("best/");
    expect(page).toContain('from_pretrained("checkpoint")');
    expect(page).not.toContain("--weights last");
    expect(await read(runs, "half", "README.md")).toMatch(/npx foretoken generate \. --prompt .* --weights last /u);
  });

  it.each([
    ["empty", ""],
    ["full of zeros", "\0\0\0"],
  ])("is written anew where the power went before it was on the disk: %s", async (_, left) => {
    const out = newPath();
    await collect(train({ ...start(out), stopAt: 7 }));
    await writeFile(join(out, "README.md"), left);
    await collect(train({ resume: out, ...anyBackend }));
    expect(await read(out, "README.md")).toBe(await read(runs, "whole", "README.md"));
  });

  it("shows control characters of the text's name and of the prompt as escapes", () => {
    const page = runReadme(newStory(true), {
      config: resolveConfig("book", []),
      corpus: "a\n\u001b[31mb",
      prompt: "\u001b[1mIt's\n",
      keepLast: 1,
    });
    expect(page).toContain("# A language model of a\\n\\u001b[31mb\n");
    expect(page).toContain("| text | a\\n\\u001b[31mb |");
    expect(page).toContain(String.raw`npx foretoken generate . --prompt $'\033[1mIt\'s\\n'`);
    expect(page).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it("is left alone where its owner has made it another", async () => {
    const out = newPath();
    await collect(train({ ...start(out), stopAt: 2 }));
    await writeFile(join(out, "README.md"), "My notes.\n");
    await collect(train({ resume: out, ...anyBackend }));
    expect(await read(out, "README.md")).toBe("My notes.\n");
  });

  it("is made again where it is missing, as in a run from before there was one", async () => {
    const out = newPath();
    await collect(train({ ...start(out), stopAt: 7 }));
    for (const file of ["README.md", "samples.txt"]) await rm(join(out, file));
    await collect(train({ resume: out, ...anyBackend }));
    for (const file of ["README.md", "samples.txt"])
      expect(await read(out, file)).toBe(await read(runs, "whole", file));
  });

  it("names the step of the best weights that are left, where those of the best evaluation were deleted", () => {
    const story = newStory(true);
    for (const [step, valLoss] of [
      [40, 1],
      [45, 2],
    ] as const) {
      const noted = { step, valLoss, trainLoss: 2, natsPerCharacter: valLoss, bitsPerByte: 3 } as const;
      goOn(story, { type: "eval", reason: "interval", best: step === 40, ...noted });
    }
    const subject = { config: resolveConfig("book", []), corpus: "a", prompt: "b", keepLast: 1 };
    const rowOf = (bestStep: number | null | undefined) =>
      /^\| `best\/` \| (.*): a Hugging Face directory \|$/mu.exec(runReadme(story, { ...subject, bestStep }))?.[1];
    expect(rowOf(45)).toBe("the best weights that are left, of step 45");
    for (const step of [40, undefined]) expect(rowOf(step)).toBe("the weights with the lowest validation loss");
    expect(rowOf(null)).toBeUndefined();
  });

  it("shows a long run's losses thinned out, the best and the last among them", () => {
    const story = newStory(true);
    for (let i = 1; i <= 500; i++) {
      const valLoss = i === 123 ? 1 : 2;
      const noted = { step: 10 * i, valLoss, trainLoss: 2, natsPerCharacter: valLoss, bitsPerByte: 3 } as const;
      const event: NotedEval = { type: "eval", reason: "interval", best: i === 1 || i === 123, ...noted };
      goOn(story, event);
    }
    const page = runReadme(story, {
      config: resolveConfig("book", []),
      corpus: "a | b",
      prompt: 'Say "no" for $5\n',
      keepLast: 1,
    });
    const rows = [...page.matchAll(/^\| ([\d,]+) \| \d/gmu)].map(([, step]) => step);
    expect(rows.length).toBeLessThanOrEqual(21);
    expect(rows).toEqual(expect.arrayContaining(["10", "1,230", "5,000"]));
    expect(page).toContain("| 1,230 | 1.0000 | 2.0000 | 3.0000 | best |");
    expect(page).toContain("| text | a \\| b |");
    expect(page).toContain(`--prompt 'Say "no" for $5\\n'`);
  });
});
