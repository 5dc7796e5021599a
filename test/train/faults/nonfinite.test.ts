import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { shorten } from "#foretoken/core/text/one-line.js";
import { listRuns } from "#foretoken/index.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { readRecord } from "#foretoken/runs/record/record.node.js";
import { configHash } from "#foretoken/runs/same-config.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
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
beforeAll(async () => {
  data = await writeText(wordsText("nonfinite", 300));
});

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigError);
  const { message } = error as ConfigError;
  expect(message).not.toContain("\n");
  return message;
};

forEachBackend(
  "an update that makes weights infinite after a finite loss",
  ({ open }) => {
    // The learning rate of step 1 is ordinary. The rate of step 2 is too large for float32 after bias correction.
    const schedule = { kind: "linear", minLearningRate: 3.4e38 } as const;
    const plan = { steps: 3, learningRate: 1e-3, warmupSteps: 0, schedule, evalInterval: 3 };
    it.each([
      ["book", { ...tinyRun, train: { ...tinyRun.train, ...plan } }],
      [
        "shakespeare",
        {
          ...smallMuonRun,
          train: { ...smallMuonRun.train, ...plan, optimizer: { kind: "muon", adamLearningRateRatio: 1 } },
        },
      ],
    ] as const)("leaves the checkpoint as it was: %s", async (preset, config) => {
      const backend = await open(2);
      const options = { preset, data, backend, finalSampleTokens: 0 } as const;
      const [good, out] = [newPath(), newPath()];
      const every = { ...config, train: { ...config.train, checkpointInterval: 1 } };
      await collect(
        train({ ...options, config: { ...every, train: { ...every.train, steps: 3 } }, out: good, stopAt: 1 }),
      );
      const message = await messageOf(collect(train({ ...options, config: every, out })));
      expect(message).toMatch(
        /^step 2: weights and moments must stay finite; got infinity or NaN in \S+ \S+; try a lower train\.learningRate/u,
      );
      const files = (await readdir(join(out, "checkpoint"))).sort();
      for (const file of files) {
        const path = join("checkpoint", file);
        expect(await readFile(join(out, path)), path).toEqual(await readFile(join(good, path)));
      }
      const lm = await loadPretrained(join(out, "checkpoint"), { backend });
      lm.model.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });

    it("is not taken for the best either", async () => {
      const backend = await open(2);
      // The update is so large that some weights become infinite. The validation text does not use these weights.
      const config = { ...tinyRun, train: { ...tinyRun.train, learningRate: 1e38, warmupSteps: 0, evalInterval: 1 } };
      const out = newPath();
      const message = await messageOf(collect(train({ preset: "book", data, backend, config, out })));
      expect(message).toMatch(/^(?:evaluation after step 1|step 1): .* must stay finite/u);
      const entries = await readdir(out).catch(() => []);
      expect(entries).not.toContain("best");
      expect(entries).not.toContain("checkpoint");
      await backend.close();
    });
  },
  compiled,
);

/**
 * The gradients of the steps differ much. So some steps count as exploding after the first 20 steps, which are used for
 * comparison.
 */
const shaky = (onNonfinite: string, changes: object = {}) => ({
  ...tinyRun,
  train: {
    ...tinyRun.train,
    steps: 30,
    batchSize: 1,
    gradAccumSteps: 1,
    evalInterval: 10,
    checkpointInterval: 8,
    onNonfinite,
    maxGradNormRatio: 1.15,
    ...changes,
  },
});
const options = (out: string | null, config: object): NewRun => ({
  preset: "book",
  config,
  data,
  out,
  ...anyBackend,
  finalSampleTokens: 3,
});

/** Changes the plan of an existing run. */
const edit = async (out: string, changes: object): Promise<void> => {
  for (const path of [join(out, "run.json"), join(out, "checkpoint", "trainer_state.json")]) {
    const json = JSON.parse(await readFile(path, "utf8")) as { config: { train: object } };
    const config = { ...json.config, train: { ...json.config.train, ...changes } };
    await writeFile(path, JSON.stringify({ ...json, config }));
  }
  // The manifests contain a hash of the configuration, without the field that may change when a run is resumed.
  const { config } = JSON.parse(await readFile(join(out, "run.json"), "utf8")) as { config: { train: object } };
  const hash = configHash(config);
  await rm(join(out, "checkpoint", "manifest.json"));
  const manifest = join(out, "rollback", "manifest.json");
  const bound = await readFile(manifest, "utf8").catch(() => undefined);
  if (bound !== undefined) await writeFile(manifest, bound.replace(/"config": "[0-9a-f]+"/u, `"config": "${hash}"`));
};

/** Recorded events without file paths. */
const noted = async (run: string): Promise<readonly unknown[]> =>
  (await timelessMetrics(run)).map((event) => {
    const { file, ...rest } = event as Record<string, unknown>;
    return { ...rest, ...(typeof file === "string" ? { file: file.slice(run.length) } : {}) };
  });

describe.each(["skip", "rollback"] as const)("a run that is to %s", (action) => {
  let whole = "";
  let events: readonly TrainEvent[] = [];
  beforeAll(async () => {
    whole = newPath();
    events = await collect(train(options(whole, shaky(action))));
  });

  it("goes on, and tells of each step that it left out", async () => {
    const left = ofType(events, "nonfinite");
    expect(left.length).toBeGreaterThan(1);
    expect(left.length).toBeLessThan(10);
    for (const event of left) {
      const file = join(whole, `nonfinite-step-${event.step}.safetensors`);
      expect(event).toMatchObject({ v: 1, action, file, loss: expect.any(Number), gradNorm: expect.any(Number) });
      expect(event.tensor).toMatch(/^no tensor: all finite, largest gradient /u);
      expect(await readRecord(file)).toMatchObject({
        step: event.step,
        reason: "gradient",
        backend: anyBackend.backend,
      });
    }
    const steps = [...left, ...ofType(events, "step")].map(({ step }) => step);
    expect(steps.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(ofType(events, "done")[0]).toMatchObject({ step: 30, reason: "finished" });
  });

  it("is the same to the bit when it is interrupted and resumed, at any step", async () => {
    const first = ofType(events, "nonfinite")[0]?.step ?? expect.fail("no step was left out");
    // Evaluations are at steps 10 and 20, checkpoints at steps 8, 16 and 24.
    for (const stops of [
      [first - 1, first],
      [8, 10, 16, first + 1],
    ]) {
      const out = newPath();
      let begun = false;
      for (const stopAt of [...stops, undefined]) {
        const next = begun ? { resume: out, ...anyBackend } : options(out, shaky(action));
        begun = true;
        await collect(train({ ...next, stopAt }));
      }
      expect(await checkpointHashes(out), String(stops)).toEqual(await checkpointHashes(whole));
      expect(await noted(out), String(stops)).toEqual(await noted(whole));
      expect((await readdir(out)).sort()).toEqual((await readdir(whole)).sort());
    }
  });

  it("stops after ten of them in a row", async () => {
    // Every loss exceeds this ratio. The first loss always counts as good.
    const out = newPath();
    const seen: string[] = [];
    const message = await messageOf(
      (async () => {
        for await (const event of train(options(out, shaky(action, { maxLossRatio: 1e-3 })))) seen.push(event.type);
      })(),
    );
    expect(seen.filter((type) => type === "nonfinite").length).toBe(10);
    expect(seen.filter((type) => type === "step").length).toBe(1);
    expect(message).toMatch(
      /^step 12: at most 10 steps in a row may be left out; got one more: loss [\d.]+, gradient norm [\d.]+, .*; try /u,
    );
  });

  it("needs no folder", async () => {
    const unsaved = await collect(train(options(null, shaky(action))));
    expect(ofType(unsaved, "nonfinite").every(({ file }) => file === null)).toBe(true);
    const lossesOf = async (run: string): Promise<unknown> =>
      (await timelessMetrics(run)).flatMap((event) => {
        const { type, step, loss } = event as Record<string, unknown>;
        return type === "step" ? [[step, loss]] : [];
      });
    expect(ofType(unsaved, "step").map(({ step, loss }) => [step, loss])).toEqual(await lossesOf(whole));
  });
});

describe("a run that is to roll back", () => {
  it("goes back to its first weights before the first checkpoint", async () => {
    // The update of step 1 makes all weights infinite. So step 2 is faulty, and step 3 begins with the initial weights
    // again.
    const changes = { steps: 9, learningRate: 1e38, warmupSteps: 0, evalInterval: 9, checkpointInterval: 9 };
    const config = shaky("rollback", { ...changes, maxGradNormRatio: 0, schedule: { kind: "constant" } });
    const seen: (readonly [string, number])[] = [];
    for await (const event of train(options(newPath(), config))) {
      if (event.type === "step" || event.type === "nonfinite") seen.push([event.type, event.step]);
      // The loss of an untrained model is about ln V.
      if (event.type === "step") expect(event.loss).toBeLessThan(4);
      if (seen.length === 4) break;
    }
    expect(seen).toEqual([
      ["step", 1],
      ["nonfinite", 2],
      ["step", 3],
      ["nonfinite", 4],
    ]);
  });

  it("goes back to the last planned checkpoint, not to one that was written since it was stopped", async () => {
    const fine = shaky("rollback", { maxGradNormRatio: 0 });
    const weights = async (stopAt: number, recorded: number): Promise<Float32Array> => {
      const out = newPath();
      await collect(train({ ...options(out, fine), stopAt }));
      await edit(out, { maxLossRatio: 1e-3 });
      await messageOf(collect(train({ resume: out, ...anyBackend })));
      return (await readRecord(join(out, `nonfinite-step-${recorded}.safetensors`))).values;
    };
    const planned = await weights(8, 9);
    // Step 12 is skipped with the weights of step 11. Step 13 is skipped with the restored weights.
    expect(await weights(11, 12)).not.toEqual(planned);
    expect(await weights(11, 13)).toEqual(planned);
  });

  it("refuses to go back to those of another step", async () => {
    const out = newPath();
    const events = await collect(train(options(newPath(), shaky("rollback"))));
    const bad = ofType(events, "nonfinite").find(({ step }) => step % 8 !== 1)?.step ?? expect.fail("none");
    await collect(train({ ...options(out, shaky("rollback")), stopAt: bad - 1 }));
    await rm(join(out, "rollback"), { recursive: true });
    await expect(collect(train({ resume: out, ...anyBackend }))).rejects.toThrow(
      /weights and moments of step \d+ must be stored, to roll back to them; got none/u,
    );
  });
});

describe("a run that is to stop", () => {
  const broken = shaky("stop", { maxLossRatio: 1e-3 });

  it("names the file and how to repeat the step, and keeps what it had", async () => {
    const out = newPath();
    const message = await messageOf(collect(train(options(out, broken))));
    const file = join(out, "nonfinite-step-2.safetensors");
    expect(message).toContain(`; try a lower train.learningRate; npx foretoken replay ${file}`);
    expect((await readdir(out)).sort()).toEqual([
      "README.md",
      "metrics.jsonl",
      "nonfinite-step-2.safetensors",
      "run.json",
    ]);
    const { tensors, metadata } = readSafetensors(await readFile(file), file);
    expect(tensors.get("batch.x")?.shape).toEqual([1, tinyRun.model.contextLength]);
    expect(metadata).toMatchObject({ step: "2", reason: "loss", seed: "1", backend: anyBackend.backend });
  });

  it("goes on where it is resumed with another action, as a run that was begun with it", async () => {
    const [stopped, whole] = [newPath(), newPath()];
    const message = await messageOf(collect(train(options(stopped, shaky("stop")))));
    const listed = async () => (await listRuns(stopped)).runs[0];
    // The full message, unless it is long.
    expect(await listed()).toMatchObject({ state: "failed", failure: shorten(message, 280) });
    const resume = { resume: stopped, ...anyBackend } as const;
    // By default, the resumed run uses the action with which the run began.
    await messageOf(collect(train(resume)));
    await collect(train({ ...resume, onNonfinite: "skip" }));
    expect(await listed()).toMatchObject({ state: "finished", failure: null });
    await collect(train(options(whole, shaky("skip"))));
    const weightsOf = (out: string) => readFile(join(out, "checkpoint", "model.safetensors"));
    expect(await weightsOf(stopped)).toEqual(await weightsOf(whole));
    // All events except the first event are equal.
    expect((await noted(stopped)).slice(1)).toEqual((await noted(whole)).slice(1));
  });

  it("replaces its own record of the step, and no other file", async () => {
    const out = newPath();
    const fine = shaky("stop", { maxGradNormRatio: 0 });
    await collect(train({ ...options(out, fine), stopAt: 3 }));
    await edit(out, { maxLossRatio: 1e-3 });
    const resume = () => collect(train({ resume: out, ...anyBackend }));
    const first = await messageOf(resume());
    expect(await messageOf(resume())).toBe(first);
    const file = join(out, "nonfinite-step-4.safetensors");
    await writeFile(file, "mine");
    expect(await messageOf(resume())).toMatch(
      /^step 4: the loss must not exceed 0\.001 × [\d.]+ \(train\.maxLossRatio\); got loss .* record of a step; got another file; try renaming that file/u,
    );
    expect(await readFile(file, "utf8")).toBe("mine");
  });
});
