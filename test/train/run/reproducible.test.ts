import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train } from "#foretoken/train/train.node.js";
import { type BackendCase, compiled, forEachBackend } from "../../support/backends.ts";
import {
  checkpointHashes,
  collect,
  ofType,
  smallGroupedRun,
  smallMuonRun,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
let data = "";
beforeAll(async () => {
  data = await writeText(wordsText("reproducible", 300));
});

interface Variant {
  readonly seed?: number;
  readonly dtype?: "bfloat16";
  readonly threads?: number;
  readonly stopAt?: number;
}

const plans = [
  { title: "book", preset: "book", plan: smallRun },
  // With Muon.
  { title: "shakespeare", preset: "shakespeare", plan: smallMuonRun },
  { title: "shakespeare with grouped queries", preset: "shakespeare", plan: smallGroupedRun },
] as const;

const wholeRuns = new Map<string, Promise<string>>();

const runsOf = ({ title, preset, plan }: (typeof plans)[number], backend: BackendCase["name"]) => {
  const start = async ({ seed = 1, threads = 2, dtype, stopAt }: Variant = {}): Promise<string> => {
    const out = newPath();
    const config = { ...plan, train: { ...plan.train, seed, ...(dtype && { dtype }) } };
    await collect(train({ preset, config, data, out, backend, threads, stopAt, finalSampleTokens: 5 }));
    return out;
  };
  const resume = async (out: string, { threads = 2, stopAt }: Variant = {}): Promise<string> => {
    await collect(train({ resume: out, backend, threads, stopAt }));
    return out;
  };
  /** A run without interruption. All tests share it. */
  const whole = (): Promise<string> => {
    const key = `${title}, ${backend}`;
    const known = wholeRuns.get(key) ?? start();
    wholeRuns.set(key, known);
    return known;
  };
  const expectWhole = async (out: string, hint?: string): Promise<void> => {
    expect(await checkpointHashes(out), hint).toEqual(await checkpointHashes(await whole()));
    expect(await timelessMetrics(out), hint).toEqual(await timelessMetrics(await whole()));
  };
  return { start, resume, whole, expectWhole };
};

for (const one of plans)
  forEachBackend(`a training run of ${one.title}`, ({ name }) => {
    const { start, resume, whole, expectWhole } = runsOf(one, name);

    it("gives the same bytes with one thread and with two, interrupted and resumed", async () => {
      const expected = await checkpointHashes(await whole());
      expect(Object.keys(expected)).toEqual(
        expect.arrayContaining([
          "checkpoint/model.safetensors",
          "checkpoint/optimizer.safetensors",
          "best/config.json",
        ]),
      );
      await expectWhole(await resume(await start({ threads: 1, stopAt: 7 })));
    });
  });

// The other guarantees do not depend on the model or the backend. So each plan and each backend is tested once.
const pairs = { reference: plans[0], wasm: plans[1], native: plans[2] };

forEachBackend("a training run", ({ name }) => {
  const one = pairs[name];
  const { start } = runsOf(one, name);

  it("gives other weights with another seed", async () => {
    const weightsAfterOneStep = async (seed: number): Promise<Buffer> =>
      readFile(join(await start({ seed, stopAt: 1 }), "checkpoint", "model.safetensors"));
    expect(await weightsAfterOneStep(2)).not.toEqual(await weightsAfterOneStep(1));
  });

  it("goes on in its dtype, whatever is faster where it is resumed", async () => {
    const dtype = "bfloat16";
    const resumed = await start({ dtype, stopAt: 5 });
    const events = await collect(train({ resume: resumed, backend: name }));
    expect(ofType(events, "start")).toMatchObject([{ dtype }]);
    expect(await checkpointHashes(resumed)).toEqual(await checkpointHashes(await start({ dtype })));
  });

  it("tells its events in order and ends with an evaluation, a checkpoint and `done`", async () => {
    const config = { ...one.plan, train: { ...one.plan.train, evalInterval: 6, checkpointInterval: 6 } };
    const { preset } = one;
    const events = await collect(train({ preset, config, data, out: newPath(), backend: name, finalSampleTokens: 5 }));
    const steps = (count: number) => Array.from({ length: count }, () => "step");
    const types = events.map(({ type }) => type);
    expect(types).toEqual([
      "start", ...steps(6), "estimate", "eval", "sample", "checkpoint", ...steps(6), "eval", "sample", "checkpoint", "done",
    ]); // biome-ignore format: the order reads best on one line
    const all = ofType(events, "step");
    expect(all.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    const [first, second] = ofType(events, "eval");
    const mean = (from: number, to: number): number =>
      all.slice(from, to).reduce((sum, { loss }) => sum + loss, 0) / (to - from);
    expect(first?.trainLoss).toBeCloseTo(mean(0, 6), 12);
    expect(second?.trainLoss).toBeCloseTo(mean(6, 12), 12);
    expect(second).toMatchObject({ step: 12, reason: "end" });
    const val = wordsText("reproducible", 300).length;
    expect(second?.tokens).toBe(val - Math.floor(0.9 * val) - 1);
    expect(events.at(-1)).toMatchObject({ step: 12, reason: "finished", valLoss: second?.valLoss });
  });
});

forEachBackend(
  "a training run that is stopped",
  ({ name }) => {
    const one = pairs[name];
    const { start, resume, expectWhole } = runsOf(one, name);

    it("that was interrupted and resumed gives the bytes of one that was not, wherever it stopped", async () => {
      // Evaluations are at steps 5 and 10, checkpoints at steps 4 and 8.
      for (const stopAt of name === "native" ? [1, 4, 5, 6, 10, 11] : [5])
        await expectWhole(await resume(await start({ stopAt }), { threads: 1 }), `stopped after ${stopAt}`);
    });

    it("may be interrupted again and again; what it notes is what an uninterrupted one does", async () => {
      const out = await start({ stopAt: 2 });
      for (const stopAt of [3, 5, 8]) await resume(out, { stopAt });
      await expectWhole(await resume(out));
    });

    it("may be stopped before its first step, and again before the first that it goes on with", async () => {
      const out = newPath();
      const stopAtOnce = async (next: (signal: AbortSignal) => AsyncGenerator<TrainEvent>): Promise<void> => {
        const controller = new AbortController();
        for await (const { type } of next(controller.signal)) if (type === "start") controller.abort();
      };
      const again = { resume: out, backend: name, threads: 2 } as const;
      const { preset, plan: config } = one;
      await stopAtOnce((signal) =>
        train({ preset, config, data, out, backend: name, threads: 2, finalSampleTokens: 5, signal }),
      );
      await stopAtOnce((signal) => train({ ...again, signal }));
      await collect(train({ ...again, stopAt: 6 }));
      for (let i = 0; i < 2; i++) await stopAtOnce((signal) => train({ ...again, signal }));
      await expectWhole(await resume(out));
    });
  },
  compiled,
);
