import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { type TrainOptions, train } from "#foretoken/train/train.node.js";
import { readSnapshot } from "#foretoken/trainer/state.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { furthest, gradientError, largest } from "../../support/closeness.ts";
import { hashedIds, hashedModel } from "../../support/models.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  tinyRun,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
let data = "";
beforeAll(async () => {
  data = await writeText(wordsText("behaviour", 300));
});

type TrainChanges = NonNullable<PartialConfig<RunConfig>["train"]>;
const changed = (changes: TrainChanges) => ({ ...tinyRun, train: { ...tinyRun.train, sampleTokens: 0, ...changes } });

const options = (out: string | null, changes: TrainChanges = {}) =>
  ({ preset: "book", config: changed(changes), data, out, ...anyBackend, finalSampleTokens: 0 }) as const;

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

describe("a backend that is closed under a run", () => {
  it("ends the run with one line that says so", async () => {
    const backend = await openBackend("reference");
    const training = async (): Promise<void> => {
      for await (const event of train({ ...options(null), backend })) {
        if (event.type === "step" && event.step === 2) await backend.close();
      }
    };
    await expect(training()).rejects.toThrow(
      /^[^\n]*: the reference backend must be open; got a closed backend; try closing it /u,
    );
  });
});

describe("accumulated micro-batches", () => {
  it("have the gradient of one big batch", async () => {
    const vocabSize = 11;
    const tokens = hashedIds("text", 500, vocabSize);
    const gradientOf = async (backend: Backend, batchSize: number, gradAccumSteps: number): Promise<Float32Array> => {
      const { model, train: plan } = resolveConfig("book", [
        smallRun,
        {
          model: { dropout: 0 },
          train: { batchSize, gradAccumSteps, maxGradNorm: 0, optimizer: { kind: "adam", beta1: 0 } },
        },
      ]);
      const trainer = createTrainer(backend, { model, train: plan }, vocabSize, tokens);
      await trainer.step(0);
      // Without decay of the mean, the first moment after one step equals the gradient.
      const gradient = (await readSnapshot(trainer.snapshot())).get("m");
      trainer.close();
      return gradient ?? expect.fail("no first moment");
    };
    const backend = await openBackend("auto", { threads: 2 });
    const whole = await gradientOf(backend, 12, 1);
    const sizes = { ...smallRun.model, vocabSize };
    const tolerance = gradientError(sizes, 12 * sizes.contextLength) * largest(whole);
    expect(largest(whole)).toBeGreaterThan(0.01);
    for (const [batchSize, parts] of [
      [6, 2],
      [3, 4],
      [1, 12],
    ] as const) {
      const { ratio, message } = furthest("gradient", await gradientOf(backend, batchSize, parts), whole, tolerance);
      expect(ratio, `${parts} parts: ${message}`).toBeLessThanOrEqual(1);
    }
    // The tolerance is so small that the test would notice a missing part.
    expect(furthest("gradient", await gradientOf(backend, 6, 1), whole, tolerance).ratio).toBeGreaterThan(100);
    // Passes of 4,096 tokens give the same result as micro-batches of 4,096 tokens.
    const rows = 4096 / sizes.contextLength;
    expect(await gradientOf(backend, 2 * rows, 1)).toEqual(await gradientOf(backend, rows, 2));
    expect(await gradientOf(backend, 3 * rows, 2)).toEqual(await gradientOf(backend, rows, 6));
    await backend.close();
  });
});

forEachBackend(
  "memory",
  ({ open }) => {
    it("of a backend is the same after every step, evaluation and text, and all given back at the end", async () => {
      const backend = await open(2);
      const before = backend.bytesInUse();
      const config = changed({ evalInterval: 3, sampleTokens: 20 });
      const seen = new Set<number>();
      let events = 0;
      for await (const event of train({ ...options(newPath()), config, backend })) {
        // Before the run allocates memory, it reports how much memory it will need.
        if (event.type === "start") expect(backend.bytesInUse()).toBe(before);
        else if (event.type !== "done") seen.add(backend.bytesInUse());
        events++;
      }
      expect(events).toBeGreaterThan(20);
      // Between events only weights, gradients and moments are allocated.
      expect(seen.size).toBe(1);
      expect(Math.max(...seen)).toBeGreaterThan(before);
      expect(backend.bytesInUse()).toBe(before);
      await backend.close();
    });

    it("of a loaded model stays the same through logits, evaluation, texts and broken-off texts", async () => {
      const out = newPath();
      await collect(train(options(out, { steps: 1 })));
      const backend = await open(2);
      const lm = await loadPretrained(join(out, "checkpoint"), { backend });
      const held = backend.bytesInUse();
      await lm.logits([1, 2, 3]);
      await expect(lm.logits([1, 99])).rejects.toThrow("token ids must be ");
      await evaluate(lm, { data });
      for await (const event of generate(lm, { prompt: "the ", maxNewTokens: 30 })) expect(event.v).toBe(1);
      for await (const event of generate(lm, { prompt: "the ", maxNewTokens: 30 })) {
        if (event.type === "token" && event.index === 3) break;
      }
      expect(backend.bytesInUse()).toBe(held);
      await lm.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });
  },
  compiled,
);

describe("options", () => {
  it.each([
    ["an unknown one", { sedd: 5 }, /^train: every key must be a known one; got "sedd"/],
    ["no thread", { threads: 0, backend: "reference" }, /^threads: must be at least 1; got 0/],
    ["half a step to stop at", { stopAt: 1.5 }, /^stopAt: must be a whole number; got 1.5/],
    ["half a token", { finalSampleTokens: 1.5 }, /^finalSampleTokens: must be a whole number; got 1.5/],
    ["tokens below 0", { finalSampleTokens: -1 }, /^finalSampleTokens: must be at least 0; got -1/],
    ["two ways to hold out", { valData: "a", valFraction: 0.2 }, /^valData and valFraction: only one of them/],
    ["all held out", { valFraction: 1 }, /^valFraction: must be below 1; got 1/],
    ["a change to a run", { resume: "run", config: {} }, /^resume: options that change .* got config/],
    [
      "a field of the configuration",
      { steps: 5 },
      /^train: every key must be a known one; got "steps"; try config.train.steps$/,
    ],
    ["a part of the configuration", { model: { nLayer: 2 } }, /got "model"; try config.model$/],
    ["an unknown one with resume", { resume: "run", treads: 2 }, /"treads"; try threads/],
  ])("%s is refused before anything is written", async (_, wrong, expected) => {
    const out = "resume" in wrong ? undefined : newPath();
    const events = train({ ...("resume" in wrong ? {} : { data, out }), ...wrong } as TrainOptions);
    await expect(collect(events)).rejects.toThrow(expected);
    if (out !== undefined) expect(await exists(out)).toBe(false);
  });

  it("that are undefined are as if not given", async () => {
    await expect(
      collect(train({ resume: "nowhere", data: undefined, config: undefined } as TrainOptions)),
    ).rejects.toThrow("resume nowhere: must name a run's folder");
  });
});

/** With these settings, losses keep rising but do not count as exploding. */
const wild = { learningRate: 3, maxLossRatio: 0 };

describe("the end of a run", () => {
  it("comes early when `patience` evaluations in a row bring nothing better", async () => {
    // At this high learning rate, every evaluation after a certain step is worse than the best evaluation.
    const changes = { ...wild, steps: 50, evalInterval: 1, patience: 3, checkpointInterval: 50 };
    const out = newPath();
    const events = await collect(train(options(out, changes)));
    const done = ofType(events, "done")[0];
    const evals = ofType(events, "eval");
    expect(done?.reason).toBe("patience");
    expect(done?.step).toBeLessThan(50);
    expect(evals.slice(-3).map(({ best }) => best)).toEqual([false, false, false]);
    expect(evals.at(-4)).toMatchObject({ best: true, step: done?.bestStep, valLoss: done?.bestValLoss });
    expect(ofType(events, "checkpoint").at(-1)?.step).toBe(done?.step);
    await expect(collect(train({ resume: out }))).rejects.toThrow(/must not have stopped by itself; got 3 evaluations/);
  });

  it("counts patience across an interruption", async () => {
    const changes = { ...wild, steps: 50, evalInterval: 1, patience: 3, checkpointInterval: 50 };
    const whole = newPath();
    const done = ofType(await collect(train(options(whole, changes))), "done")[0];
    const out = newPath();
    await collect(train({ ...options(out, changes), stopAt: (done?.step ?? 0) - 1 }));
    const resumed = await collect(train({ resume: out, ...anyBackend }));
    expect(ofType(resumed, "done")[0]).toMatchObject({ reason: "patience", step: done?.step });
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("may come before the end of the warm-up", async () => {
    const events = await collect(train(options(null, { steps: 4, warmupSteps: 10, learningRate: 1e-2 })));
    const rates = ofType(events, "step").map(({ learningRate }) => learningRate);
    expect(rates).toEqual([1e-3, 2e-3, 3e-3, 4e-3]);
    expect(ofType(events, "done")[0]?.reason).toBe("finished");
  });
});

describe("a signal", () => {
  it("ends a run after the step under way, saved so that it can be resumed to the same bytes", async () => {
    const whole = newPath();
    await collect(train(options(whole)));
    const out = newPath();
    const controller = new AbortController();
    const types: string[] = [];
    for await (const event of train({ ...options(out), signal: controller.signal })) {
      types.push(event.type);
      if (event.type === "step" && event.step === 6) controller.abort();
      if (event.type === "done") expect(event).toMatchObject({ reason: "interrupted", step: 6, valLoss: null });
    }
    // The saved weights are not evaluated, because this would take minutes on a large text.
    expect(types.slice(-3)).toEqual(["step", "checkpoint", "done"]);
    await collect(train({ resume: out, ...anyBackend }));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("breaks off an evaluation, which the resumed run makes up for", async () => {
    // The run is interrupted at both evaluations (at step 3, and at the end, at step 12), at the planned checkpoint at
    // step 6, and while patience counts evaluations.
    const changes = { evalInterval: 3, checkpointInterval: 6, patience: 4 };
    const whole = newPath();
    await collect(train(options(whole, changes)));
    for (const stop of [3, 6, 12]) {
      const out = newPath();
      const controller = new AbortController();
      const types: string[] = [];
      for await (const event of train({ ...options(out, changes), signal: controller.signal })) {
        types.push(event.type);
        if (event.type === "step" && event.step === stop) controller.abort();
        if (event.type === "done") expect(event).toMatchObject({ reason: "interrupted", step: stop });
      }
      expect(types.slice(-3)).toEqual(["step", "checkpoint", "done"]);
      const resumed = await collect(train({ resume: out, ...anyBackend }));
      expect(ofType(resumed, "eval")[0]?.step).toBe(stop);
      expect(await checkpointHashes(out), `stopped after ${stop}`).toEqual(await checkpointHashes(whole));
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    }
  });

  it("that is given before a resumed run begins leaves the run as it was", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 2 }));
    const before = await timelessMetrics(out);
    await expect(collect(train({ resume: out, signal: AbortSignal.abort() }))).rejects.toThrow(/abort/i);
    expect(await timelessMetrics(out)).toEqual(before);
  });

  it("that was given already leaves nothing behind", async () => {
    const out = newPath();
    const signal = AbortSignal.abort();
    await expect(collect(train({ ...options(out), signal }))).rejects.toThrow(/abort/i);
    expect(await exists(out)).toBe(false);
  });
});

describe("a run that breaks off", () => {
  it("at a loss that is not finite says so, and keeps the last checkpoint", async () => {
    const out = newPath();
    const run = train(options(out, { learningRate: 1e30, maxGradNorm: 0, warmupSteps: 0, checkpointInterval: 1 }));
    const events: string[] = [];
    const failure = await (async () => {
      for await (const event of run) events.push(event.type);
    })().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect((failure as ConfigError).message).toMatch(
      /^step \d+: loss and gradient must stay finite; got .*; try a lower/,
    );
    expect(events.at(-1)).toBe("checkpoint");
    expect(await readdir(out)).toEqual(expect.arrayContaining(["run.json", "metrics.jsonl", "checkpoint"]));
    const lm = await loadPretrained(join(out, "checkpoint"), { backend: "reference" });
    await lm.close();
  });

  it("in its first step says that it began too wide", async () => {
    const config = { ...changed({}), model: { ...smallRun.model, initStd: 1e30 } };
    const failure = collect(train({ ...options(newPath()), config }));
    await expect(failure).rejects.toThrow(
      /^step 1: loss and gradient must stay finite; .*; try a smaller model.initStd/,
    );
  });

  it("at an evaluation that is not finite says so, and takes it neither for the best nor for a checkpoint", async () => {
    const out = newPath();
    const changes = { learningRate: 1e30, maxGradNorm: 0, warmupSteps: 0, checkpointInterval: 1, evalInterval: 1 };
    const failure = await collect(train(options(out, changes))).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect((failure as ConfigError).message).toMatch(
      /^evaluation after step 1: the perplexity of the held-out text must stay finite; got the perplexity of /,
    );
    expect((await readdir(out)).sort()).toEqual(["README.md", "metrics.jsonl", "run.json"]);
  });

  it("before its first step, because of the model that it begins with, blames this model", async () => {
    const directory = newPath();
    const backend = await openBackend("reference");
    const tokenizer = charTokenizer(Array.from(new Set(await readFile(data, "utf8"))).sort());
    const { model: config } = resolveConfig("book", [changed({})]);
    const huge = hashedModel(backend, config, tokenizer.vocabSize);
    // The weights are finite, but their products are not.
    backend.write(huge.arena.storage, new Float32Array(huge.layout.length).fill(3e38));
    await savePretrained(directory, languageModel(huge, tokenizer));
    await backend.close();
    const training = collect(train({ ...options(null), initFrom: directory }));
    await expect(training).rejects.toThrow(
      /^evaluation of the initial weights: .*; try another model: this model is damaged$/u,
    );
  });

  it("because the reader stops reading gives its memory back and can be resumed from the last checkpoint", async () => {
    const whole = newPath();
    const config = changed({});
    const backend = await openBackend("wasm", { threads: 1 });
    const all = { ...options(whole), config, backend };
    await collect(train(all));
    const out = newPath();
    for await (const event of train({ ...all, out })) if (event.type === "step" && event.step === 7) break;
    expect(backend.bytesInUse()).toBe(0);
    const lm = await loadPretrained(join(out, "checkpoint"), { backend });
    expect(lm.tokenizer.vocabSize).toBeGreaterThan(5);
    await lm.close();
    const [start] = ofType(await collect(train({ resume: out, backend })), "start");
    expect(start?.step).toBe(4);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    await backend.close();
  });

  it("before its first checkpoint begins again when it is resumed, and ends as one that was not broken off", async () => {
    const whole = newPath();
    await collect(train(options(whole)));
    const out = newPath();
    for await (const event of train(options(out))) if (event.type === "step" && event.step === 3) break;
    expect((await readdir(out)).sort()).toEqual(["README.md", "metrics.jsonl", "run.json"]);
    const notices: string[] = [];
    const resumed = train({ resume: out, ...anyBackend, onNotice: (line) => notices.push(line) });
    expect(ofType(await collect(resumed), "start")[0]?.step).toBe(0);
    expect(notices).toEqual([`${out}: no checkpoint yet; starting again at step 0`]);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
  });

  it("ends the threads of a backend that it opened by name", async () => {
    const workers = (): number => (process.report.getReport() as { workers?: unknown[] }).workers?.length ?? 0;
    const before = workers();
    for await (const event of train({ ...options(null), threads: 2 })) {
      if (event.type !== "step") continue;
      expect(workers()).toBe(before + 1);
      break;
    }
    expect(workers()).toBe(before);
  });
});
