import { cp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { listRuns } from "#foretoken/index.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { train as trainInThread } from "#foretoken/worker/train.node.js";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallMuonRun,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const on = { ...anyBackend, finalSampleTokens: 3 } as const;

/** A run from which other runs take their weights, and another text with fewer different characters. */
let source = "";
let data = "";
beforeAll(async () => {
  source = newPath();
  const text = await writeText(`${wordsText("source", 300)}!`);
  await collect(train({ preset: "book", config: smallRun, data: text, out: source, ...on }));
  data = await writeText(wordsText("other", 200));
});

const options = (out: string | null, more: Partial<NewRun> = {}): NewRun => ({
  ...{ preset: "book", initFrom: source, data, out, config: { train: smallRun.train } },
  ...on,
  ...more,
});

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ForetokenError);
  return (error as Error).message;
};

const lossOf = async (directory: string): Promise<number> => {
  const lm = await loadPretrained(directory, anyBackend);
  const { natsPerToken } = await evaluate(lm, { data, split: "val" });
  await lm.close();
  return natsPerToken;
};

describe("a run that begins with weights", () => {
  it("has their model and tokenizer, and first of all their loss", async () => {
    const out = newPath();
    // At this learning rate, no weight changes.
    const plan = { ...smallRun.train, steps: 1, learningRate: 1e-30, warmupSteps: 0, schedule: { kind: "constant" } };
    const config = { train: plan } as NonNullable<NewRun["config"]>;
    const events = await collect(train(options(out, { config })));
    const [start] = ofType(events, "start");
    expect(start).toMatchObject({ step: 0, initFrom: join(source, "best"), config: { model: smallRun.model } });
    expect(ofType(events, "eval")[0]?.valLoss).toBe(await lossOf(join(source, "best")));
    const tokenizer = "checkpoint/tokenizer.json";
    expect((await checkpointHashes(out))[tokenizer]).toBe((await checkpointHashes(source))[tokenizer]);
    expect((await listRuns(out)).runs).toMatchObject([{ initFrom: join(source, "best") }]);
    expect(await readFile(join(out, "README.md"), "utf8")).toMatch(/\| started from \| weights of \d+\/best; /u);
  });

  it("is measured before its first step, and keeps the weights that it began with where training makes them worse", async () => {
    const out = newPath();
    const bad = {
      ...smallRun.train,
      steps: 4,
      evalInterval: 2,
      learningRate: 10,
      maxLossRatio: 0,
      maxGradNormRatio: 0,
    };
    const events = await collect(train(options(out, { config: { train: bad } })));
    const [before, ...later] = ofType(events, "eval");
    expect(before).toMatchObject({ step: 0, reason: "begin", trainLoss: null, best: true });
    expect(before?.valLoss).toBe(await lossOf(join(source, "best")));
    expect(later.map(({ best }) => best)).toEqual([false, false]);
    expect(ofType(events, "done")[0]).toMatchObject({ bestStep: 0, bestValLoss: before?.valLoss });
    const weights = "best/model.safetensors";
    expect((await checkpointHashes(out))[weights]).toBe((await checkpointHashes(source))[weights]);
    expect(await readFile(join(out, "README.md"), "utf8")).toMatch(/\| 0 \| .* \| best \|/u);
  });

  it("begins with a checkpoint of a run that no saved model replaces", async () => {
    const best = join(source, "best");
    const before = await checkpointHashes(source);
    const lm = await loadPretrained(best, anyBackend);
    expect(await messageOf(savePretrained(best, lm))).toMatch(/got a checkpoint that a run resumes from/u);
    await lm.close();
    expect(await checkpointHashes(source)).toEqual(before);
  });

  it("is measured again where a kill came before the start was saved, and noted once", async () => {
    const [whole, out] = [newPath(), newPath()];
    await collect(train(options(whole)));
    for await (const { type } of train(options(out))) if (type === "eval") break;
    expect(await readdir(out)).not.toContain("checkpoint");
    await collect(train({ resume: out, ...anyBackend }));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("is deterministic, in a thread too, and resumes to the same bits wherever it stopped", async () => {
    const whole = newPath();
    await collect(train(options(whole)));
    const expected = await checkpointHashes(whole);
    const inThread = newPath();
    await collect(trainInThread(options(inThread)));
    expect(await checkpointHashes(inThread)).toEqual(expected);
    for (const stopAt of [1, 6]) {
      const out = newPath();
      await collect(train(options(out, { stopAt })));
      await collect(train({ resume: out, ...anyBackend }));
      expect(await checkpointHashes(out), `stopped after ${stopAt}`).toEqual(expected);
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    }
    // The run was killed before its first planned checkpoint, and its source is deleted.
    const killed = newPath();
    const moved = newPath();
    await cp(source, moved, { recursive: true });
    for await (const event of train(options(killed, { initFrom: moved }))) {
      if (event.type === "step" && event.step === 3) break;
    }
    await rm(moved, { recursive: true });
    const resumed = await collect(train({ resume: killed, ...anyBackend }));
    expect(resumed[0]).toMatchObject({ step: 0, initFrom: join(moved, "best") });
    expect(await checkpointHashes(killed)).toEqual(expected);
    // Different weights lead to different bits.
    const last = newPath();
    await collect(
      train(options(last, { initFrom: join(source, "checkpoint"), config: { train: { ...smallRun.train, seed: 2 } } })),
    );
    expect((await checkpointHashes(last))["checkpoint/model.safetensors"]).not.toBe(
      expected["checkpoint/model.safetensors"],
    );
  });

  it("is begun again where a kill came before it had saved them, if they are still there", async () => {
    const whole = newPath();
    const moved = newPath();
    await cp(source, moved, { recursive: true });
    await collect(train(options(whole, { initFrom: moved })));
    const young = async (): Promise<string> => {
      const out = newPath();
      await cp(whole, out, { recursive: true });
      for (const name of ["checkpoint", "best", "samples.txt", "metrics.jsonl"])
        await rm(join(out, name), { recursive: true });
      return out;
    };
    const [first, second, third] = [await young(), await young(), await young()];
    await collect(train({ resume: first, ...anyBackend }));
    expect(await checkpointHashes(first)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(first)).toEqual(await timelessMetrics(whole));
    const again = (resume: string): Promise<string> => messageOf(collect(train({ resume, ...anyBackend })));
    // In this run the last weights are also the best weights, so the program could use both folders. Both folders are
    // removed.
    for (const name of ["best", "checkpoint"]) await rm(join(moved, name), { recursive: true });
    expect(await again(second)).toMatch(
      /^resume \S+: the initial weights of the run must be in \S+best, .*; got no readable weights; try a new run/u,
    );
    await cp(join(source, "checkpoint"), join(moved, "best"), { recursive: true });
    // Replaces the best weights by the last weights.
    const files = await checkpointHashes(source);
    const isSame = files["checkpoint/model.safetensors"] === files["best/model.safetensors"];
    if (!isSame) expect(await again(third)).toMatch(/got weights with another SHA-256/u);
  });

  it("goes back to them after a step that explodes before its first checkpoint", async () => {
    const plan = {
      ...{ ...smallRun.train, steps: 30, batchSize: 1, gradAccumSteps: 1, checkpointInterval: 29 },
      onNonfinite: "rollback" as const,
      maxGradNormRatio: 1.15,
    };
    const [whole, out] = [newPath(), newPath()];
    const events = await collect(train(options(whole, { config: { train: plan } })));
    const left = ofType(events, "nonfinite");
    expect(left[0]?.step).toBeLessThan(29);
    const step = left[0]?.step ?? expect.fail("no step was left out");
    await collect(train(options(out, { config: { train: plan }, stopAt: step - 1 })));
    await collect(train({ resume: out, ...anyBackend }));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("can be extended, and is saved nowhere if it is not to be", async () => {
    const out = newPath();
    await collect(train(options(out)));
    const events = await collect(train({ resume: out, steps: 15, ...anyBackend }));
    expect(events.at(-1)).toMatchObject({ step: 15, reason: "finished" });
    const unsaved = await collect(train(options(null)));
    expect(unsaved.at(-1)).toMatchObject({ step: 12, reason: "finished", out: null });
  });

  it("may have another dropout; with rotary positions another context and scaling", async () => {
    const muon = newPath();
    await collect(train({ preset: "shakespeare", config: smallMuonRun, data, out: muon, ...on }));
    const scaling = { kind: "linear", factor: 2 } as const;
    const model = { dropout: 0, contextLength: 32, position: { scaling } };
    const config = { model, train: { ...smallMuonRun.train, steps: 2 } };
    const events = await collect(train({ preset: "shakespeare", initFrom: muon, config, data, out: newPath(), ...on }));
    expect(ofType(events, "start")[0]?.config.model).toMatchObject(model);
    const events2 = await collect(train(options(null, { config: { model: { dropout: 0 }, train: smallRun.train } })));
    expect(ofType(events2, "start")[0]?.config.model.dropout).toBe(0);
  });
});

describe("without a preset, a run that begins with weights", () => {
  it("has the defaults of its model and text, on a text that comes with the program too", async () => {
    const base = newPath();
    const bpe = { tokenizer: { kind: "bpe", vocabSize: 300 } } as const;
    await collect(train({ preset: "book", config: { ...smallRun, ...bpe }, data, out: base, ...on }));
    const config = { lora: { rank: 2 } } as const;
    for await (const event of train({ initFrom: base, data: "moby-dick", out: null, config, ...on })) {
      expect(event).toMatchObject({
        type: "start",
        config: { train: { optimizer: { kind: "adamw" }, learningRate: 2e-4, windows: "shuffled" } },
        derived: expect.arrayContaining(["train.steps", "train.batchSize"]),
      });
      break;
    }
  });
});

describe("weights to begin with are refused", () => {
  it.each([
    [
      "with another width",
      { nEmbd: 32 },
      /^config\.model\.nEmbd: must match the weights in \S+best, 16; got 32; try leaving it out, or a new run without initFrom$/u,
    ],
    ["with other heads", { nHead: 4 }, /^config\.model\.nHead: must match the weights in \S+, 2; got 4; /u],
    [
      "with a longer table of positions",
      { contextLength: 32 },
      /^config\.model\.contextLength: must match the weights in \S+, 16; got 32; /u,
    ],
    [
      "with other positions",
      { position: { kind: "rope" } },
      /^config\.model\.position\.kind: must match the weights in \S+, "learned"; got "rope"; /u,
    ],
    ["with wrong fields", { nLayers: 2 }, /^config\.model: every key must be a known one; got "nLayers"/u],
  ])("%s", async (_, model, message) => {
    const out = newPath();
    const config = { model, train: smallRun.train } as NonNullable<NewRun["config"]>;
    expect(await messageOf(collect(train(options(out, { config }))))).toMatch(message);
    await expect(readdir(out)).rejects.toThrow("ENOENT");
  });

  it("for a text with other characters, of which the line names some", async () => {
    const few = await writeText(`${wordsText("other", 200)}éé\u00fc`);
    expect(await messageOf(collect(train(options(newPath(), { data: few }))))).toMatch(
      /^\d+\.txt: every character must be one of the \d+ that the model in \S+best knows; got 2 others: "é" \(U\+00E9\), "ü" \(U\+00FC\); try a text without these characters \(sed 's\/é\/\/g; s\/ü\/\/g' FILE > NEW\), or a new run without initFrom$/u,
    );
    const many = await writeText(`${wordsText("other", 200)}ABCDEFGAAB`);
    expect(await messageOf(collect(train(options(newPath(), { data: many }))))).toMatch(
      /got 7 others, as "A" \(U\+0041\), "B" \(U\+0042\), "C" \(U\+0043\), "D" \(U\+0044\), "E" \(U\+0045\); try a text without these characters, or a new run/u,
    );
    const quoted = await writeText(`${wordsText("other", 200)}'é`);
    expect(await messageOf(collect(train(options(newPath(), { data: quoted }))))).toContain(
      "; try a text without these characters, or",
    );
  });

  it("from a folder that has none, lacks a tokenizer or is damaged, by name", async () => {
    const from = (initFrom: string): Promise<string> => messageOf(collect(train(options(newPath(), { initFrom }))));
    expect(await from(newPath())).toMatch(/: the path must name a model; got no such file or folder/u);
    const young = newPath();
    for await (const event of train({ ...options(young), initFrom: undefined })) if (event.type === "step") break;
    expect(await from(young)).toMatch(/^initFrom \S+: the run must have a checkpoint; got none yet; try resume \S+$/u);
    const bare = newPath();
    await cp(join(source, "best"), bare, { recursive: true });
    await rm(join(bare, "tokenizer.json"));
    expect(await from(bare)).toMatch(/tokenizer\.json: a checkpoint must have tokenizer\.json; got no such file/u);
    const damaged = newPath();
    await cp(source, damaged, { recursive: true });
    await truncate(join(damaged, "best", "model.safetensors"), 900);
    expect(await from(damaged)).toMatch(
      /best\/model\.safetensors: the file must match its SHA-256 .*; got 900 bytes; try initFrom \S+\/checkpoint$/u,
    );
    const last = await collect(train(options(null, { initFrom: join(damaged, "checkpoint") })));
    expect(last.at(-1)).toMatchObject({ reason: "finished" });
  });

  it("for the folder of the run that has them, which stays as it is", async () => {
    const before = [await checkpointHashes(source), await timelessMetrics(source)];
    for (const out of [source, join(source, "best")]) {
      expect(await messageOf(collect(train(options(out))))).toMatch(
        /^out \S+: the folder must be new or empty; got a /u,
      );
    }
    expect([await checkpointHashes(source), await timelessMetrics(source)]).toEqual(before);
  });

  it("together with a run to resume", async () => {
    const both = { resume: source, initFrom: source } as unknown as NewRun;
    expect(await messageOf(collect(train(both)))).toMatch(/^resume: options that change the run .*; got initFrom/u);
  });
});
