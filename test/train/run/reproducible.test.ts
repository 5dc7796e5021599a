import { beforeAll, expect, it } from "vitest";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train } from "#foretoken/train/train.node.js";
import { forEachBackend } from "../../support/backends.ts";
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
  readonly threads?: number;
  readonly stopAt?: number;
}

const plans = [
  { preset: "book", plan: smallRun },
  // With Muon.
  { preset: "shakespeare", plan: smallMuonRun },
  { preset: "shakespeare", plan: smallGroupedRun, title: "shakespeare with grouped queries" },
] as const;

for (const { preset, plan, ...named } of plans)
  forEachBackend(`a training run of ${"title" in named ? named.title : preset}`, ({ name }) => {
    const start = async ({ seed = 1, threads = 2, stopAt }: Variant = {}): Promise<string> => {
      const out = newPath();
      const config = { ...plan, train: { ...plan.train, seed } };
      await collect(train({ preset, config, data, out, backend: name, threads, stopAt, finalSampleTokens: 5 }));
      return out;
    };
    const resume = async (out: string, { threads = 2, stopAt }: Variant = {}): Promise<string> => {
      await collect(train({ resume: out, backend: name, threads, stopAt }));
      return out;
    };

    it("gives the same bytes with the same seed, with one thread and with two, and others with another seed", async () => {
      const first = await checkpointHashes(await start());
      expect(Object.keys(first)).toEqual(
        expect.arrayContaining([
          "checkpoint/model.safetensors",
          "checkpoint/optimizer.safetensors",
          "best/config.json",
        ]),
      );
      expect(await checkpointHashes(await start())).toEqual(first);
      expect(await checkpointHashes(await start({ threads: 1 }))).toEqual(first);
      const other = await checkpointHashes(await start({ seed: 2 }));
      expect(other["checkpoint/model.safetensors"]).not.toBe(first["checkpoint/model.safetensors"]);
    });

    it("that was interrupted and resumed gives the bytes of one that was not, wherever it stopped", async () => {
      const whole = await start();
      const expected = await checkpointHashes(whole);
      // Evaluations are at 5 and 10, checkpoints at 4 and 8.
      for (const stopAt of name === "reference" ? [5, 7] : [1, 4, 5, 6, 10, 11]) {
        const out = await resume(await start({ stopAt }), { threads: 1 });
        expect(await checkpointHashes(out), `stopped after ${stopAt}`).toEqual(expected);
      }
    });

    it("goes on in its dtype, whatever is faster where it is resumed", async () => {
      const config = { ...plan, train: { ...plan.train, dtype: "bfloat16" as const } };
      const begin = async (stopAt?: number): Promise<string> => {
        const out = newPath();
        await collect(train({ preset, config, data, out, backend: name, stopAt, finalSampleTokens: 5 }));
        return out;
      };
      const resumed = await begin(5);
      const events = await collect(train({ resume: resumed, backend: name }));
      expect(ofType(events, "start")).toMatchObject([{ dtype: "bfloat16" }]);
      expect(await checkpointHashes(resumed)).toEqual(await checkpointHashes(await begin()));
    });

    it("may be interrupted again and again; what it notes is what an uninterrupted one does", async () => {
      const whole = await start();
      const out = await start({ stopAt: 2 });
      for (const stopAt of [3, 5, 8]) await resume(out, { stopAt });
      await resume(out);
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    });

    it("may be stopped before its first step, and again before the first that it goes on with", async () => {
      const whole = await start();
      const out = newPath();
      const stopAtOnce = async (next: (signal: AbortSignal) => AsyncGenerator<TrainEvent>): Promise<void> => {
        const controller = new AbortController();
        for await (const { type } of next(controller.signal)) if (type === "start") controller.abort();
      };
      const again = { resume: out, backend: name, threads: 2 } as const;
      await stopAtOnce((signal) =>
        train({ preset, config: plan, data, out, backend: name, threads: 2, finalSampleTokens: 5, signal }),
      );
      await stopAtOnce((signal) => train({ ...again, signal }));
      await collect(train({ ...again, stopAt: 6 }));
      for (let i = 0; i < 2; i++) await stopAtOnce((signal) => train({ ...again, signal }));
      await resume(out);
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    });

    it("tells its events in order and ends with an evaluation, a checkpoint and `done`", async () => {
      const out = newPath();
      const config = { ...smallRun, train: { ...smallRun.train, evalInterval: 6, checkpointInterval: 6 } };
      const events = await collect(
        train({ preset, config, data, out, backend: name, threads: 2, finalSampleTokens: 5 }),
      );
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
