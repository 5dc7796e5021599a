import { describe, expect, it } from "vitest";
import { freshProgress, hasTurned } from "#foretoken/runs/progress.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

/** A model that memorizes a few words and is evaluated on other words. */
const plan = {
  model: { ...smallRun.model, dropout: 0 },
  train: {
    ...smallRun.train,
    steps: 40,
    learningRate: 2e-2,
    schedule: { kind: "constant" },
    evalInterval: 10,
    checkpointInterval: 25,
    sampleTokens: 0,
  },
} as const;

const runOn = async (out: string | null): Promise<NewRun> => ({
  preset: "book",
  config: plan,
  data: await writeText("the cat sat on a mat.\n".repeat(4)),
  valData: await writeText(wordsText("overfitting", 60)),
  out,
  ...anyBackend,
  finalSampleTokens: 0,
});

describe("an overfitting run", () => {
  it("says so once, right after the evaluation that shows it", async () => {
    const events = (await collect(train(await runOn(null)))).filter(({ type }) => type !== "step");
    const told = ofType(events, "overfitting");
    expect(told.length).toBe(1);
    const [one] = told;
    const before = events[events.findIndex(({ type }) => type === "overfitting") - 1];
    expect(before).toMatchObject({ type: "eval", step: one?.step, valLoss: one?.valLoss, best: false });
    const evals = ofType(events, "eval");
    const best = evals.filter(({ step }) => step < (one?.step ?? 0)).reduce((a, b) => (b.valLoss < a.valLoss ? b : a));
    expect(one).toEqual({
      v: 1,
      type: "overfitting",
      step: one?.step,
      valLoss: one?.valLoss,
      bestValLoss: best.valLoss,
      bestStep: best.step,
    });
  });

  it("says the same, once, when it is interrupted and resumed", async () => {
    const whole = newPath();
    const options = await runOn(whole);
    const [told] = ofType(await collect(train(options)), "overfitting");
    const at = told?.step ?? expect.fail("it has not told");
    for (const stops of [[at - 1, at], [at, at + 1], [at + 11]]) {
      const out = newPath();
      const events = [];
      let begun = false;
      for (const stopAt of [...stops, undefined]) {
        events.push(
          ...(await collect(train({ ...(begun ? { resume: out, ...anyBackend } : { ...options, out }), stopAt }))),
        );
        begun = true;
      }
      expect(ofType(events, "overfitting").length).toBe(1);
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    }
  });

  it("has turned after two evaluations above the best, or one far above it", () => {
    const since = (evalsSinceBest: number) => ({ ...freshProgress, best: { step: 1, valLoss: 2 }, evalsSinceBest });
    expect(hasTurned(freshProgress, 9)).toBe(false);
    expect(hasTurned(since(0), 2)).toBe(false);
    expect(hasTurned(since(1), 2.09)).toBe(false);
    expect(hasTurned(since(1), 2.11)).toBe(true);
    expect(hasTurned(since(2), 2.01)).toBe(false);
    expect(hasTurned(since(2), 2.03)).toBe(true);
    expect(hasTurned({ ...since(2), best: { step: 0, valLoss: 2 } }, 3)).toBe(false);
  });
});
