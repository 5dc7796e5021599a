import { cp, readFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";
import { extendConfig } from "#foretoken/config/extend.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import { presetOf } from "#foretoken/config/preset-of.js";
import { presets } from "#foretoken/config/presets.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { listRuns } from "#foretoken/index.js";
import { mostExtensions } from "#foretoken/optim/config.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { parseRecord } from "#foretoken/runs/record/flight-record.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { type NewRun, type ResumedRunOptions, train } from "#foretoken/train/train.node.js";
import { train as trainInThread } from "#foretoken/worker/train.node.js";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallMuonRun,
  timelessMetrics,
  tinyRun,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
let data = "";
/** A finished run of 12 steps. */
let ended = "";
beforeAll(async () => {
  data = await writeText(wordsText("extend", 300));
  ended = await finishedWith({});
});

type Changes = NonNullable<PartialConfig<RunConfig>["train"]>;

const begin = (out: string, changes: Changes = {}): NewRun => ({
  preset: "book",
  config: { ...tinyRun, train: { ...tinyRun.train, ...changes } },
  ...{ data, out, ...anyBackend, finalSampleTokens: 5 },
});

const finishedWith = async (changes: Changes): Promise<string> => {
  const out = newPath();
  await collect(train(begin(out, changes)));
  return out;
};

/** A copy of the finished run. */
const finished = async (): Promise<string> => {
  const out = newPath();
  await cp(ended, out, { recursive: true });
  return out;
};

const goOn = (resume: string, more: Omit<ResumedRunOptions, "resume"> = {}): AsyncGenerator<TrainEvent> =>
  train({ resume, ...anyBackend, ...more });

const described = async (run: string): Promise<{ readonly config: RunConfig }> =>
  JSON.parse(await readFile(join(run, "run.json"), "utf8")) as { config: RunConfig };

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as Error).message;
};

const stopAtOnce = async (resume: string, more: Omit<ResumedRunOptions, "resume"> = {}): Promise<void> => {
  const controller = new AbortController();
  for await (const { type } of goOn(resume, { ...more, signal: controller.signal }))
    if (type === "start") controller.abort();
};

describe("a finished run with more steps", () => {
  it("goes on in its folder to the new end, with notes that have no gap", async () => {
    const out = await finished();
    const before = await described(out);
    await utimes(join(out, "run.json"), 1e9, 1e9);
    const events = await collect(goOn(out, { steps: 20 }));
    expect(events[0]).toMatchObject({ type: "start", step: 12, out, config: { train: { steps: 20 } } });
    expect(events.at(-1)).toMatchObject({ type: "done", step: 20, reason: "finished", out });
    const notes = (await timelessMetrics(out)) as { type: string; step: number; reason?: string }[];
    expect(notes.filter(({ type }) => type === "step").map(({ step }) => step)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(notes.filter(({ type }) => type === "done").map(({ step }) => step)).toEqual([20]);
    expect(notes.filter(({ type }) => type === "eval").map(({ step, reason }) => [step, reason])).toEqual([
      ...[
        [5, "interval"],
        [10, "interval"],
        [12, "end"],
        [15, "interval"],
        [20, "end"],
      ],
    ]);
    expect(notes.filter(({ type }) => type === "checkpoint").map(({ step }) => step)).toEqual([4, 8, 12, 16, 20]);
    const extensions = [{ after: 12, planned: 12, schedule: "stretch" }];
    expect((await described(out)).config).toEqual({
      ...before.config,
      train: { ...before.config.train, steps: 20, extensions },
    });
    // The time of this file is the time at which the run began.
    expect((await stat(join(out, "run.json"))).mtimeMs).toBe(1e12);
    const page = await readFile(join(out, "README.md"), "utf8");
    expect(page).toContain("| state | finished: 20 of 20 steps |");
    expect(page).toContain("| extended | at step 12, from 12 steps to 20 (stretch); learning rate from 0.001 to ");
    expect(page).toContain("npx foretoken train --resume . --steps 60 ");
    await expect(collect(goOn(out))).rejects.toThrow(
      /must have steps left; got all 20 done; try steps 60 to train longer/u,
    );
  });

  it.each(["stretch", "restart", "constant"] as const)(
    "that is interrupted and resumed ends with the bits of one that is not: %s",
    async (extend) => {
      const [parts, whole] = [await finished(), await finished()];
      await collect(goOn(whole, { steps: 22, extend }));
      const expected = await checkpointHashes(whole);

      await stopAtOnce(parts, { steps: 22, extend });
      // The studio's page and the list do not show the run as finished.
      expect(await readFile(join(parts, "README.md"), "utf8")).toContain("| state | stopped after 12 of 22 steps |");
      expect((await listRuns(parts)).runs).toMatchObject([{ state: "interrupted", step: 12, steps: 22 }]);
      await collect(goOn(parts, { stopAt: 13 }));
      for await (const event of goOn(parts)) if (event.type === "step" && event.step === 15) break;
      expect((await listRuns(parts)).runs).toMatchObject([{ state: "unfinished", step: 15 }]);
      for (const stopAt of [15, 19]) await collect(goOn(parts, { stopAt }));
      await collect(goOn(parts));
      expect(await checkpointHashes(parts)).toEqual(expected);
      expect(await timelessMetrics(parts)).toEqual(await timelessMetrics(whole));
    },
  );

  it("is the same run after a kill before its first new checkpoint", async () => {
    const [whole, out] = [await finished(), await finished()];
    await collect(goOn(whole, { steps: 22 }));
    for await (const event of goOn(out, { steps: 22 })) if (event.type === "step" && event.step === 14) break;
    await collect(goOn(out));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
  });

  it("gives the weights of a new run with its whole configuration", async () => {
    const out = await finished();
    await collect(goOn(out, { steps: 20, extend: "restart" }));
    const copy = newPath();
    await collect(train({ ...begin(copy), config: (await described(out)).config }));
    const name = "checkpoint/model.safetensors";
    expect((await checkpointHashes(copy))[name]).toBe((await checkpointHashes(out))[name]);
  });

  it("may go back to a checkpoint from before, and comes to the same bits", async () => {
    const out = newPath();
    await collect(train({ ...begin(out), keepLast: 3 }));
    await collect(goOn(out, { steps: 20, keepLast: 9 }));
    const expected = await checkpointHashes(out);
    await collect(goOn(join(out, "checkpoint-8"), { keepLast: 9 }));
    expect(await checkpointHashes(out)).toEqual(expected);
    // If the run continues from an earlier checkpoint with a new number of steps, this number replaces the later
    // extensions.
    await collect(goOn(join(out, "checkpoint-8"), { steps: 16 }));
    expect((await described(out)).config.train.extensions).toEqual([{ after: 8, planned: 12, schedule: "stretch" }]);
  });

  it("may be extended again and again", async () => {
    const [whole, out] = [await finished(), await finished()];
    for (const steps of [15, 19]) {
      await collect(goOn(whole, { steps }));
      await stopAtOnce(out, { steps });
      if (steps === 15) await collect(goOn(out));
    }
    await collect(goOn(out));
    expect((await described(out)).config.train).toMatchObject({
      steps: 19,
      extensions: [
        { after: 12, planned: 12, schedule: "stretch" },
        { after: 15, planned: 15, schedule: "stretch" },
      ],
    });
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    // If a run is changed again before its first new step, it keeps the plan of its checkpoint.
    await stopAtOnce(out, { steps: 25 });
    await collect(goOn(out, { steps: 22, extend: "restart" }));
    expect((await described(out)).config.train).toMatchObject({
      steps: 22,
      extensions: [{}, {}, { after: 19, planned: 19 }, { after: 19, planned: 25, schedule: "restart" }],
    });
  });

  it("does so with Muon, in a thread of its own", async () => {
    const out = newPath();
    const { config: _, ...rest } = begin(out);
    await collect(train({ ...rest, preset: "shakespeare", config: smallMuonRun }));
    const events = await collect(trainInThread({ resume: out, steps: 18, extend: "restart", ...anyBackend }));
    const rates = ofType(events, "step").map(({ learningRate }) => learningRate);
    expect(rates.slice(0, 3)).toEqual([1, 2, 3].map((i) => 1e-3 + (i / 3) * (1e-2 - 1e-3)));
    expect(rates.at(-1)).toBe(1e-3);
    expect(events.at(-1)).toMatchObject({ step: 18, reason: "finished" });
  });
});

describe("an interrupted run with another number of steps", () => {
  it("follows the new plan from there, which may be shorter", async () => {
    for (const steps of [9, 16]) {
      const out = newPath();
      await collect(train({ ...begin(out), stopAt: 6 }));
      const events = await collect(goOn(out, { steps }));
      expect(ofType(events, "step").map(({ step }) => step)).toEqual(
        Array.from({ length: steps - 6 }, (_, i) => i + 7),
      );
      expect(ofType(events, "step").at(-1)?.learningRate).toBe(1e-3);
      expect(events.at(-1)).toMatchObject({ reason: "finished", step: steps });
    }
  });

  it("is not changed by the number that it has", async () => {
    const out = newPath();
    await collect(train({ ...begin(out), stopAt: 6 }));
    const before = await readFile(join(out, "run.json"));
    await collect(goOn(out, { steps: 12 }));
    expect(await readFile(join(out, "run.json"))).toEqual(before);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(ended));
  });

  it("begins anew with it where there is no checkpoint yet", async () => {
    const out = newPath();
    for await (const event of train(begin(out))) if (event.type === "step" && event.step === 2) break;
    const events = await collect(goOn(out, { steps: 15 }));
    expect(ofType(events, "step")).toHaveLength(15);
    const [one, other] = [await checkpointHashes(out), await checkpointHashes(await finishedWith({ steps: 15 }))];
    expect(one["checkpoint/model.safetensors"]).toBe(other["checkpoint/model.safetensors"]);
  });

  it("goes back to weights from before it was extended, after a step that explodes", async () => {
    // Rollback points are at steps 8 and 16. The run is stopped at step 20. After that, steps explode.
    const shaky = {
      steps: 40,
      batchSize: 1,
      gradAccumSteps: 1,
      checkpointInterval: 8,
      onNonfinite: "rollback",
    } as const;
    const out = newPath();
    await collect(train({ ...begin(out, { ...shaky, maxGradNormRatio: 1.15 }), stopAt: 20 }));
    const events = await collect(goOn(out, { steps: 44 }));
    const [first] = ofType(events, "nonfinite");
    expect(first?.step).toBeLessThanOrEqual(24);
    expect(events.at(-1)).toMatchObject({ reason: "finished", step: 44 });
    // The record of the step contains the configuration with its extension.
    const path = join(out, `nonfinite-step-${first?.step}.safetensors`);
    expect(parseRecord(await readFile(path), path).config.train.extensions).toHaveLength(1);
  });
});

describe("a run that ended for want of patience", () => {
  it("goes on when it is given steps, with patience anew and the best weights kept", async () => {
    const wild = { learningRate: 3, maxLossRatio: 0, steps: 50, evalInterval: 1, patience: 3, checkpointInterval: 50 };
    const out = await finishedWith(wild);
    const ended = (await timelessMetrics(out)).at(-1) as { step: number; bestStep: number; bestValLoss: number };
    expect(await messageOf(collect(goOn(out)))).toMatch(/got 3 evaluations .*; try steps 50 to continue anyway$/u);
    const events = await collect(goOn(out, { steps: 50, stopAt: ended.step + 2 }));
    expect(events.at(-1)).toMatchObject({ reason: "interrupted", step: ended.step + 2 });
    const { bestStep, bestValLoss } = ofType(events, "done")[0] ?? expect.fail("no end");
    if ((bestStep ?? 0) <= ended.step)
      expect({ bestStep, bestValLoss }).toEqual({ bestStep: ended.bestStep, bestValLoss: ended.bestValLoss });
    // The count of steps continues from this step.
    const rest = await collect(goOn(out));
    const done = ofType(rest, "done")[0] ?? expect.fail("no end");
    if (done.reason === "patience") expect(done.step - Math.max(done.bestStep ?? 0, ended.step)).toBe(3);
    else expect(done).toMatchObject({ reason: "finished", step: 50 });
  });
});

describe("a new number of steps is refused", () => {
  let run = "";
  beforeAll(async () => {
    run = await finishedWith({ schedule: { kind: "linear", minLearningRate: 0 } });
  });

  it.each([
    [
      "that is done",
      { steps: 12 },
      "steps: the new total number of steps must be above the 12 steps done; got 12; try steps 36",
    ],
    [
      "of less than done",
      { steps: 5 },
      "steps: the new total number of steps must be above the 12 steps done; got 5; try steps 36",
    ],
    ["that is none", { steps: 0 }, "steps: must be above 0; got 0"],
    [
      "with a rate of 0",
      { steps: 20, extend: "constant" },
      "extend: with extend constant the run keeps its last learning rate, which must be above 0; got 0 at step 12; try stretch or restart",
    ],
    [
      "in an unknown way",
      { steps: 20, extend: "longer" },
      'extend: must be stretch, restart or constant; got "longer"; try restart',
    ],
    [
      "that is missing",
      { extend: "restart" },
      "extend: must be used with steps, the new total number of steps; got no steps",
    ],
  ] as const)("%s, and nothing changes", async (_, more, message) => {
    const before = [await readFile(join(run, "run.json")), await timelessMetrics(run)];
    expect(await messageOf(collect(goOn(run, more as object)))).toBe(message);
    expect([await readFile(join(run, "run.json")), await timelessMetrics(run)]).toEqual(before);
  });
});

describe("the configuration of an extended run", () => {
  const extensions = [{ after: 5, planned: 8, schedule: "stretch" }] as const;

  it("has the preset's name", () => {
    const { train: plan, ...rest } = presets.book;
    expect(presetOf({ ...rest, train: { ...plan, steps: 99, extensions: [...extensions] } })).toBe("book");
  });

  it.each([
    ["after its end", { steps: 5, extensions }],
    ["in another order", { steps: 20, extensions: [...extensions, { after: 3, planned: 9, schedule: "stretch" }] }],
  ])("has no extension %s", (_, changes) => {
    expect(() => resolveConfig("book", [{ train: changes }])).toThrow(
      /^config\.train\.extensions: each extension must come after the previous extension and before the end of the plan that it changes/u,
    );
  });
});

it("refuses more extensions than a configuration can keep, before anything is written", () => {
  let config = resolveConfig("book", [tinyRun]);
  for (let done = 1; done <= mostExtensions; done++) config = extendConfig(config, done, { steps: done + 1 });
  expect(resolveConfig("book", [config]).train.extensions).toHaveLength(mostExtensions);
  expect(() => extendConfig(config, mostExtensions + 1, { steps: 1000 })).toThrow(
    "steps: a run can be extended at most 100 times; got one more; try a new run with initFrom",
  );
});
