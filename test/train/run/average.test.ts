import { createHash } from "node:crypto";
import { appendFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import type { AverageConfig } from "#foretoken/config/average.js";
import { ConfigError, ForetokenError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { runFromFolder, runToFolder } from "#foretoken/runs/folder-in-memory.js";
import type { WhichWeights } from "#foretoken/train/run/callbacks.js";
import { train as trainInPage } from "#foretoken/train/train.browser.js";
import { type NewRun, type ResumedRunOptions, train } from "#foretoken/train/train.node.js";
import { comparable } from "../../support/handed-files.ts";
import {
  anyBackend,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  tinyRun,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const text = wordsText("average", 300);
let data = "";
beforeAll(async () => {
  data = await writeText(text);
});

const kinds = [
  { kind: "ema", decay: 0.9 },
  { kind: "last-k", count: 2 },
] as const;

/** Twelve steps, evaluations after 3, 6, 9 and 12 of them, and checkpoints after 4, 8 and 12. */
const planWith = (average: AverageConfig | undefined, changes: object = {}) => ({
  model: tinyRun.model,
  train: { ...tinyRun.train, evalInterval: 3, ...changes, ...(average === undefined ? {} : { average }) },
});

const options = (average: AverageConfig | undefined, out: string | null, more: Partial<NewRun> = {}): NewRun => ({
  ...{ preset: "book", config: planWith(average), data, out, ...anyBackend, finalSampleTokens: 0 },
  ...more,
});

const start = async (average: AverageConfig | undefined, more: Partial<NewRun> = {}): Promise<string> => {
  const out = newPath();
  await collect(train(options(average, out, more)));
  return out;
};

const resume = async (out: string, more: Partial<ResumedRunOptions> = {}): Promise<string> => {
  await collect(train({ resume: out, ...anyBackend, ...more }));
  return out;
};

/** SHA-256 of the files with weights and state, and the events. */
const contentsOf = async (run: string): Promise<unknown> => {
  const hashes: Record<string, string> = {};
  const folders = (await readdir(run, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const { name: folder } of folders) {
    for (const file of await readdir(join(run, folder))) {
      hashes[`${folder}/${file}`] = createHash("sha256")
        .update(await readFile(join(run, folder, file)))
        .digest("hex");
    }
  }
  // The path of a bad step's record is in the run's own folder.
  const events = (await timelessMetrics(run)).map((event) => ({ ...(event as object), file: undefined }));
  return { hashes, events };
};

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ForetokenError);
  expect((error as Error).message).not.toContain("\n");
  return (error as Error).message;
};

const wholes = new Map<string, Promise<string>>();
/** The uninterrupted run, shared by all tests. */
const whole = (average: AverageConfig): Promise<string> => {
  const known = wholes.get(average.kind) ?? start(average);
  wholes.set(average.kind, known);
  return known;
};

const withoutAverage = (events: readonly unknown[]): readonly unknown[] =>
  events.map((event) => {
    const { averaged, bestAverage, config, ...rest } = event as Record<string, unknown>;
    return rest;
  });

describe.each(kinds)("a run with the average $kind", (average) => {
  it("has the weights, losses and best weights of a run without it", async () => {
    const [one, plain] = [await whole(average), await start(undefined)];
    expect(withoutAverage(await timelessMetrics(one))).toEqual(withoutAverage(await timelessMetrics(plain)));
    for (const path of ["checkpoint/model.safetensors", "best/model.safetensors"]) {
      expect(await readFile(join(one, path)), path).toEqual(await readFile(join(plain, path)));
    }
    expect(await readdir(plain)).not.toContain("averaged");
  });

  it("evaluates the average beside the weights, and keeps the best one where other commands open it", async () => {
    const run = await whole(average);
    const events = (await timelessMetrics(run)) as readonly TrainEvent[];
    const evals = ofType(events, "eval");
    expect(evals.map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    const losses = evals.map(({ averaged }) => averaged?.valLoss ?? Number.NaN);
    const lowest = Math.min(...losses);
    const best = evals[losses.indexOf(lowest)];
    expect(ofType(events, "done")[0]?.bestAverage).toEqual({ step: best?.step, valLoss: lowest });
    const lm = await loadPretrained(join(run, "averaged"), anyBackend);
    const found = await evaluate(lm, { data });
    await lm.close();
    expect(found.natsPerToken).toBeCloseTo(lowest, 6);
    expect(losses).not.toEqual(evals.map(({ valLoss }) => valLoss));
  });

  it("gives the bits of the uninterrupted run after a stop at any step, with other threads", async () => {
    const expected = await contentsOf(await whole(average));
    for (const [stopAt, threads] of [
      [3, 3],
      [7, 2],
      [9, 1],
      [11, 3],
    ] as const) {
      const out = await start(average, { stopAt });
      expect(await contentsOf(await resume(out, { threads })), `stopped at ${stopAt}`).toEqual(expected);
    }
  });

  it("gives them after a kill at any event, and after an evaluation that was interrupted", async () => {
    const expected = await contentsOf(await whole(average));
    const copies: string[] = [];
    const out = newPath();
    for await (const event of train(options(average, out))) {
      if (event.type !== "eval" && event.type !== "checkpoint") continue;
      const copy = newPath();
      await cp(out, copy, { recursive: true });
      await rm(join(copy, ".lock"), { force: true });
      copies.push(copy);
    }
    for (const [i, copy] of copies.entries()) {
      if (i === copies.length - 1) continue;
      const { hashes, events } = (await contentsOf(await resume(copy))) as {
        hashes: object;
        events: readonly object[];
      };
      expect({ hashes, events }, `killed at ${i}`).toEqual(expected);
    }
    const stopped = newPath();
    const abort = new AbortController();
    for await (const event of train(options(average, stopped, { signal: abort.signal }))) {
      if (event.type === "step" && event.step === 6) abort.abort();
    }
    expect(await contentsOf(await resume(stopped))).toEqual(expected);
  });

  it("goes back for a rollback, resumed too", async () => {
    const shaky = planWith(average, {
      ...{ steps: 30, batchSize: 1, gradAccumSteps: 1, evalInterval: 5, checkpointInterval: 8 },
      ...{ onNonfinite: "rollback", maxGradNormRatio: 1.15 },
    });
    const shakyData = await writeText(wordsText("nonfinite", 300));
    const one = await start(average, { config: shaky, data: shakyData });
    const events = (await timelessMetrics(one)) as readonly TrainEvent[];
    const bad = ofType(events, "nonfinite").map(({ step }) => step);
    expect(bad.length).toBeGreaterThan(0);
    const two = await start(average, { config: shaky, data: shakyData, stopAt: (bad[0] ?? 0) - 1 });
    expect(await contentsOf(await resume(two))).toEqual(await contentsOf(one));
  });

  it("goes on when the run is extended", async () => {
    const one = await start(average);
    await resume(one, { steps: 20 });
    const two = await start(average);
    await resume(two, { steps: 20, stopAt: 16 });
    expect(await contentsOf(await resume(two))).toEqual(await contentsOf(one));
    const evals = ofType((await timelessMetrics(one)) as readonly TrainEvent[], "eval");
    expect(evals.every(({ averaged }) => averaged !== undefined)).toBe(true);
  });

  it("works in a page, and a page's run goes on in Node", async () => {
    const files = new Map<WhichWeights, CheckpointFiles>();
    const config = planWith(average);
    const onCheckpoint = (given: CheckpointFiles, which: WhichWeights): void => void files.set(which, given);
    const backend = await openBackend("wasm", { threads: 1 });
    const page = { backend, onCheckpoint } as const;
    await collect(trainInPage({ preset: "book", config, text, ...page, finalSampleTokens: 0 }));
    const expected = [...files].map(([which, given]) => [which, comparable(given)]);
    expect([...files.keys()].sort()).toEqual(["averaged", "best", "last"]);
    expect(files.get("averaged")?.["model.safetensors"]).toEqual(
      new Uint8Array(await readFile(join(await whole(average), "averaged", "model.safetensors"))),
    );
    files.clear();
    await collect(trainInPage({ preset: "book", config, text, ...page, finalSampleTokens: 0, stopAt: 7 }));
    const last = files.get("last") as CheckpointFiles;
    const folder = runToFolder({ text, last, best: files.get("best"), averaged: files.get("averaged") });
    expect(Object.keys(folder)).toContain("averaged/model.safetensors");
    expect(Object.keys((await runFromFolder(folder)).averaged ?? {})).toContain("model.safetensors");
    await collect(trainInPage({ resume: last, text, ...page }));
    expect([...files].map(([which, given]) => [which, comparable(given)]).sort()).toEqual([...expected].sort());
    await backend.close();
  });

  it("averages the adapters of a run with LoRA", async () => {
    const initFrom = join(await whole(average), "best");
    const config = { lora: { rank: 2 }, train: { ...planWith(average).train, learningRate: 2e-2 } };
    const make = (more: Partial<NewRun> = {}): Promise<string> => start(average, { config, initFrom, ...more });
    const one = await make();
    expect(await readdir(join(one, "averaged"))).toContain("adapter_model.safetensors");
    expect(await contentsOf(await resume(await make({ stopAt: 5 })))).toEqual(await contentsOf(one));
  });
});

describe("an average in a run's checkpoint", () => {
  const [ema] = kinds;

  it("is refused where its file is damaged, or has no average", async () => {
    const damaged = await start(ema, { stopAt: 4 });
    await appendFile(join(damaged, "checkpoint", "optimizer.safetensors"), "x");
    expect(await messageOf(resume(damaged))).toMatch(/optimizer\.safetensors: /u);
    const missing = await start(undefined, { stopAt: 4 });
    const own = await start(ema, { stopAt: 4 });
    await rm(join(own, "checkpoint", "manifest.json"));
    await cp(join(missing, "checkpoint", "optimizer.safetensors"), join(own, "checkpoint", "optimizer.safetensors"));
    expect(await messageOf(resume(own))).toMatch(
      /optimizer\.safetensors: the file must hold average0\.\S+ with shape \[.*\]; got no such tensor$/u,
    );
  });

  it("is refused where a counter is above the checkpoint's step", async () => {
    const run = await start({ kind: "last-k", count: 2 }, { stopAt: 7 });
    await rm(join(run, "checkpoint", "manifest.json"));
    const path = join(run, "checkpoint", "optimizer.safetensors");
    const bytes = await readFile(path);
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
    bytes.writeFloatLE(1e9, 8 + headerBytes + header["averaged.counts"].data_offsets[0]);
    await writeFile(path, bytes);
    expect(await messageOf(resume(run))).toMatch(
      /averaged\.counts must hold whole numbers from 0 to 7, the checkpoint's step; got 1000000000 at 0$/u,
    );
  });

  it("is refused where something else has the place of averaged/, and says what to do", async () => {
    const run = await start(ema, { stopAt: 7 });
    const place = join(run, "averaged");
    for (const [make, got] of [
      [
        () => mkdir(place).then(() => writeFile(join(place, "notes.txt"), "x")),
        "a folder that foretoken did not write",
      ],
      [() => writeFile(place, "x"), "a file"],
      [() => symlink(run, place), "a link"],
    ] as const) {
      await rm(place, { recursive: true });
      await make();
      expect(await messageOf(resume(run))).toBe(
        `${place}: the folder must be new, empty or a checkpoint that foretoken wrote; got ${got}; try moving it to another place`,
      );
    }
  });

  it("is refused with other settings than the run began with", async () => {
    const run = await start(ema, { stopAt: 4 });
    const path = join(run, "run.json");
    const description = JSON.parse(await readFile(path, "utf8"));
    description.config.train.average = { kind: "ema", decay: 0.5 };
    await writeFile(path, JSON.stringify(description));
    expect(await messageOf(resume(run))).toMatch(/trainer_state\.json: .*config must equal the config in run\.json/u);
  });

  it("is not lost where averaged/ was deleted: the next evaluation writes it again", async () => {
    const run = await start(ema, { stopAt: 7 });
    await rm(join(run, "averaged"), { recursive: true });
    const notices: string[] = [];
    await resume(run, { onNotice: (line) => void notices.push(line) });
    expect(notices).toEqual([
      expect.stringMatching(/averaged: the best averaged weights are gone; the next evaluation/u),
    ]);
    expect(await readdir(join(run, "averaged"))).toContain("model.safetensors");
  });

  it("sets averaged weights of an abandoned plan aside", async () => {
    const run = await start(ema, { keepLast: 4 });
    const notices: string[] = [];
    await resume(join(run, "checkpoint-4"), { steps: 10, onNotice: (line) => void notices.push(line) });
    expect((await readdir(run)).filter((name) => name.startsWith("averaged-set-aside"))).toHaveLength(1);
    expect(notices.join("\n")).toContain("best averaged weights of an earlier plan");
  });

  it("is refused with a bad setting", async () => {
    for (const average of [{ kind: "ema", decay: 1 }, { kind: "last-k", count: 1 }, { kind: "swa" }, { decay: 0.9 }]) {
      const bad = { ...options(undefined, null), config: { train: { ...smallRun.train, average } } };
      const error = await collect(train(bad as NewRun)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as Error).message).toMatch(/^config\.train\.average\.(?:decay|count|kind): /u);
    }
  });
});
