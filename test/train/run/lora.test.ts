import { appendFile, cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { listRuns } from "#foretoken/index.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { estimateMemory } from "#foretoken/train/prepare/memory.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { forEachBackend } from "../../support/backends.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallGroupedRun,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

const plans = {
  book: { preset: "book", plan: smallRun },
  llama: { preset: "shakespeare", plan: smallGroupedRun },
} as const;
type Base = keyof typeof plans;

/** Runs that other runs use as base models, and another text. */
const bases: Record<Base, string> = { book: "", llama: "" };
let data = "";
beforeAll(async () => {
  const text = await writeText(wordsText("source", 300));
  for (const base of ["book", "llama"] as const) {
    bases[base] = newPath();
    const { preset, plan } = plans[base];
    const config = { ...plan, train: { ...plan.train, steps: 4 } };
    await collect(train({ preset, config, data: text, out: bases[base], ...anyBackend, finalSampleTokens: 0 }));
  }
  data = await writeText(wordsText("other", 200));
});

/** Adapters on every kind of layer, with all options. */
const lora = { rank: 3, alpha: 6, dropout: 0.2 };

const options = (base: Base, out: string | null, more: Partial<NewRun> = {}): NewRun => ({
  ...{ preset: plans[base].preset, initFrom: join(bases[base], "checkpoint"), data, out },
  config: { lora, train: { ...smallRun.train, learningRate: 2e-2 } },
  finalSampleTokens: 3,
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

for (const base of ["book", "llama"] as const)
  forEachBackend(`a run of adapters beside ${base}`, ({ name }) => {
    const start = async (more: Partial<NewRun> = {}): Promise<string> => {
      const out = newPath();
      await collect(train(options(base, out, { backend: name, threads: 2, ...more })));
      return out;
    };

    it("lowers the loss, resumes to the same bits with other threads, and leaves its base as it was", async () => {
      const before = await checkpointHashes(bases[base]);
      const whole = await start();
      const expected = await checkpointHashes(whole);
      expect(Object.keys(expected).filter((file) => file.startsWith("checkpoint/"))).toEqual(
        [
          "adapter_config.json",
          "adapter_model.safetensors",
          "manifest.json",
          "optimizer.safetensors",
          "trainer_state.json",
        ].map((file) => `checkpoint/${file}`),
      );
      const evals = (await timelessMetrics(whole)).flatMap((event) => {
        const { type, valLoss } = event as { type: string; valLoss: number };
        return type === "eval" ? [valLoss] : [];
      });
      expect(evals.at(-1)).toBeLessThan(evals[0] ?? 0);
      // Stopping works in the same way for every backend and base. So only one combination tests several steps.
      for (const stopAt of name === "native" && base === "llama" ? [1, 5, 8] : [7]) {
        const out = await start({ stopAt });
        await collect(train({ resume: out, backend: name, threads: 1 }));
        expect(await checkpointHashes(out), `stopped after ${stopAt}`).toEqual(expected);
        expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
      }
      expect(await checkpointHashes(bases[base])).toEqual(before);
    });

    it("is loaded with its base, and has the loss that the run had", async () => {
      const out = await start({ config: { lora, train: { ...smallRun.train, steps: 4, dtype: "float32" } } });
      const [last] = (await timelessMetrics(out)).filter(
        (event) => (event as { type: string; step: number }).type === "eval" && (event as { step: number }).step === 4,
      );
      const lm = await loadPretrained(join(out, "checkpoint"), { backend: name });
      const { natsPerToken } = await evaluate(lm, { data, split: "val" });
      // The values are equal except for the last bits. With AMX, training multiplies float32 in tiles.
      expect(natsPerToken).toBeCloseTo((last as { valLoss: number }).valLoss, 6);
      expect(lm.model.adapter?.config).toMatchObject({ rank: 3, alpha: 6 });
      await lm.close();
    });
  });

describe("a run of adapters", () => {
  const on = anyBackend;

  it("has a rate and a rule of its own, and tells how many numbers it trains", async () => {
    for (const preset of ["shakespeare", undefined] as const) {
      const config: PartialConfig<RunConfig> = { lora: {}, train: { steps: 1, batchSize: 2, sampleTokens: 0 } };
      const more = { ...on, config, stopAt: 1, finalSampleTokens: 0 };
      const [start] = ofType(await collect(train({ ...options("llama", null), preset, ...more } as NewRun)), "start");
      expect(start?.config).toMatchObject({
        lora: { rank: 8, alpha: 16, dropout: 0 },
        train: { learningRate: 2e-4, optimizer: { kind: "adamw", weightDecay: 0 }, schedule: { kind: "cosine" } },
      });
      const { nLayer, nEmbd } = smallGroupedRun.model;
      // Adapters of rank 8 on query, key, value, projection, gate, up and down.
      const inputsAndOutputs = nEmbd + 24 + 2 * (nEmbd + 12) + (24 + nEmbd) + 3 * (nEmbd + 24);
      expect(start?.adapterParameters).toBe(nLayer * 8 * inputsAndOutputs);
      expect(start?.parameters).toBeGreaterThan(0);
    }
  });

  it("on shorter windows than its model's context has its own losses to the bit, loaded as in training", async () => {
    const out = newPath();
    const contextLength = smallGroupedRun.model.contextLength / 2;
    const config = { lora, model: { contextLength }, train: { ...smallRun.train, dtype: "float32" } } as const;
    const evals = ofType(await collect(train(options("llama", out, { ...on, config }))), "eval");
    const lm = await loadPretrained(join(out, "checkpoint"), { ...on, asInTraining: true });
    const { natsPerToken } = await evaluate(lm, { data, contextLength });
    expect(natsPerToken).toBe(evals.at(-1)?.valLoss);
    expect((await evaluate(lm, { data })).natsPerToken).not.toBe(natsPerToken);
    await lm.close();
  });

  it("may take Muon, and more steps, with the same bits wherever it stopped", async () => {
    const optimizer = { kind: "muon" } as const;
    const config = { lora, train: { ...smallRun.train, optimizer } };
    const start = async (stopAt?: number): Promise<string> => {
      const out = newPath();
      await collect(train(options("llama", out, { ...on, config, stopAt })));
      return out;
    };
    const [whole, halves] = [await start(), await start(6)];
    await collect(train({ resume: halves, ...on }));
    expect(await checkpointHashes(halves)).toEqual(await checkpointHashes(whole));
    const events = await collect(train({ resume: whole, steps: 14, ...on }));
    const losses = ofType(events, "step").map(({ loss }) => loss);
    expect(losses).toHaveLength(2);
    expect(ofType(events, "done")[0]?.valLoss).toBeLessThan(Math.log(14));
  });

  it("is listed, and its page names its base", async () => {
    const out = newPath();
    await collect(train(options("llama", out, on)));
    expect((await listRuns(out)).runs).toMatchObject([{ initFrom: join(bases.llama, "checkpoint") }]);
    const page = await readFile(join(out, "README.md"), "utf8");
    expect(page).toMatch(
      /\| trained \| adapters \(LoRA\) of rank 3, [\d,]+ parameters, on the weights of \d+\/checkpoint/u,
    );
  });

  it("goes back to its last checkpoint where a step explodes", async () => {
    const train1 = { ...smallRun.train, onNonfinite: "rollback", maxGradNormRatio: 0, maxLossRatio: 1e-9 } as const;
    const message = await messageOf(
      collect(train(options("llama", newPath(), { ...on, config: { lora, train: train1 } }))),
    );
    // The record of such a step would need the weights of the base model.
    expect(message).toMatch(
      /^step 12: at most 10 steps in a row may be left out; .*; try a lower train\.learningRate[^;]*$/u,
    );
  });

  it("needs memory for its adapters alone, besides the weights", async () => {
    const config = async (more: PartialConfig<RunConfig>): Promise<RunConfig> => {
      const [start] = ofType(
        await collect(
          train(options("llama", null, { ...on, config: { train: { ...smallRun.train, steps: 1 }, ...more } })),
        ),
        "start",
      );
      if (start === undefined) throw new Error("a run begins with its start");
      return start.config;
    };
    const needs = {
      ...{ vocabSize: 20, valTokens: 2, sampleTokens: 0, saved: false, resumed: false },
      ...{ text: 0, reading: 0, program: 0 },
    };
    const whole = await estimateMemory(await config({}), needs);
    const adapters = await estimateMemory(await config({ lora: { rank: 1 } }), needs);
    expect(adapters.gradients).toBeLessThan(whole.gradients / 3);
    expect(adapters.moments).toBeLessThan(whole.moments / 3);
    expect(adapters.weights).toBeGreaterThan(whole.weights);
    expect(adapters.weights).toBeLessThan(1.3 * whole.weights);
  });

  it("is refused in one line without a base, or with layers that it lacks", async () => {
    const { initFrom, ...without } = options("llama", newPath(), on);
    expect(await messageOf(collect(train(without)))).toBe(
      "config.lora: adapters must be used with a base model, whose weights stay frozen; got a model with random weights; try initFrom MODEL",
    );
    const config = { lora: { targets: ["gate"] } } as const;
    expect(await messageOf(collect(train(options("book", newPath(), { ...on, config }))))).toMatch(
      /^lora\.targets: must be layers of the model: query, key, value, projection, up or down; got gate/u,
    );
    expect(await messageOf(collect(train(options("llama", null, { ...on, onCheckpoint: () => {} }))))).toMatch(
      /^train: onCheckpoint: must not be given with config\.lora/u,
    );
  });

  it("does not go on without its base, or with another one", async () => {
    const moved = newPath();
    await cp(join(bases.llama, "checkpoint"), moved, { recursive: true });
    const out = newPath();
    await collect(train(options("llama", out, { ...on, initFrom: moved, stopAt: 2 })));
    const before = await checkpointHashes(out).catch(() => ({}));
    const again = (): Promise<string> => messageOf(collect(train({ resume: out, ...on })));
    await appendFile(join(moved, "model.safetensors"), "x");
    await rm(join(moved, "manifest.json"));
    expect(await again()).toContain(
      `the base model of the adapters must be in ${moved}, unchanged since the run began`,
    );
    await rm(moved, { recursive: true });
    expect(await again()).toMatch(/unchanged since the run began; got no readable weights; try restoring it$/u);
    expect(await checkpointHashes(out).catch(() => ({}))).toEqual(before);
    await cp(join(bases.llama, "checkpoint"), moved, { recursive: true });
    await collect(train({ resume: out, ...on }));
  });
});
