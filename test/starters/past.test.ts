/** Tests how the starter's page reads the files of a run and the errors, without a page. */
import { beforeAll, describe, expect, test } from "vitest";
import { type RunFiles, type TrainEvent, train } from "#foretoken/browser.js";
import { eventsOf, learnsByHeart, nextEnd, parametersOf, positionOf } from "../../templates/page/past.ts";
import { ofType, tinyRun, wordsText } from "../support/runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = wordsText("past", 200);
const plan = { text, backend: "reference", preset: "book", config: tinyRun, finalSampleTokens: 0 } as const;

let run: RunFiles;
let events: readonly TrainEvent[];

/** A copy of `run` with one changed file. */
const withFile = (name: string, content: string): RunFiles => ({
  ...run,
  last: { ...run.last, [name]: bytes(content) },
});
const withNotes = (...notes: readonly unknown[]): RunFiles =>
  withFile(
    "metrics.jsonl",
    notes.map((note) => `${typeof note === "string" ? note : JSON.stringify(note)}\n`).join(""),
  );

/** Continues the training until `stopAt`. */
const follow = async (options: Parameters<typeof train>[0]): Promise<RunFiles> => {
  let last: RunFiles["last"] | undefined;
  for await (const event of train({
    ...options,
    onCheckpoint: (files, which) => {
      if (which === "last") last = files;
    },
  })) {
    if (event.type === "done") break;
  }
  if (last === undefined) throw new Error("no checkpoint");
  return { text, last };
};

beforeAll(async () => {
  run = await follow({ ...plan, stopAt: 6 });
  events = eventsOf(run);
});

describe("the past of a run", () => {
  test("has each step, measurement and sample", () => {
    expect(ofType(events, "step").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(ofType(events, "eval").map(({ step }) => step)).toEqual([5]);
    expect(ofType(events, "sample").map(({ step }) => step)).toEqual([5]);
    expect(parametersOf(run)).toBeGreaterThan(100);
    expect(positionOf(run)).toEqual({ step: 6, steps: 12 });
  });

  test("has the planned steps of a run that was made longer", async () => {
    const longer = await follow({ text, resume: run.last, steps: 40, stopAt: 8, backend: "reference" });
    expect(positionOf(longer)).toEqual({ step: 8, steps: 40 });
    expect(ofType(eventsOf(longer), "step").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("leaves out notes that are torn or odd", () => {
    const step = { type: "step", step: 1, loss: 2.5, tokensPerSecond: 100 };
    const measured = { type: "eval", step: 1, valLoss: 2.5, trainLoss: null };
    const sample = { type: "sample", step: 1, prompt: "the", text: " cat" };
    const odd = [
      ...['{"type":"start","para', "null", "17", "[]", '"step"', ""],
      ...[{}, { type: "other", step: 1 }, { type: "start", parameters: "many" }, { ...step, loss: null }],
      ...[
        { ...step, step: "1" },
        '{"type":"step","step":2,"loss":1e999,"tokensPerSecond":1}',
        { type: "step", step: 1 },
      ],
      ...[
        { ...measured, valLoss: undefined },
        { ...measured, trainLoss: "2" },
        { ...sample, text: 5 },
      ],
    ];
    const damaged = withNotes(...odd, step, measured, sample);
    expect(eventsOf(damaged)).toEqual([step, measured, sample]);
    expect(parametersOf(damaged)).toBe(undefined);
    const { "metrics.jsonl": _, ...others } = run.last;
    const without = { ...run, last: others as RunFiles["last"] };
    expect(eventsOf(without)).toEqual([]);
    expect(parametersOf(without)).toBe(undefined);
  });

  test.each([
    ["its planned end", { step: 6, steps: 12, patience: 3, evalInterval: 2 }, 12],
    ["as far as three measurements go", { step: 2000, steps: 2000, patience: 3, evalInterval: 100 }, 2300],
    ["so far, from its last regular one", { step: 310, steps: 310, patience: 3, evalInterval: 100 }, 600],
    ["three times as far where nothing ends it", { step: 200, steps: 200, patience: 0, evalInterval: 10 }, 600],
    ["no further than that", { step: 2, steps: 2, patience: 3, evalInterval: 1000 }, 6],
    ["three times as far if more is not known", { step: 4, steps: 4, evalInterval: "2" }, 12],
  ])("goes on to %s", (_, { step, ...train }, end) => {
    expect(nextEnd(withFile("trainer_state.json", JSON.stringify({ progress: { step }, config: { train } })))).toBe(
      end,
    );
  });

  test("that goes on after its end is sure to come to its next one", async () => {
    const config = { ...tinyRun, train: { ...tinyRun.train, learningRate: 1e-12, patience: 3, evalInterval: 2 } };
    // The loss does not improve, so patience ends the run as early as possible.
    const short = await follow({ ...plan, config: { ...config, train: { ...config.train, steps: 5 } } });
    const end = nextEnd(short);
    expect(end).toBe(10);
    const longer = await follow({ text, resume: short.last, steps: end, backend: "reference" });
    expect(positionOf(longer)).toEqual({ step: end, steps: end });
  });

  test("is learned by heart only where the loss falls on the text that is learned", () => {
    const measured = [
      { step: 10, trainLoss: 1.5, valLoss: 1.6 },
      { step: 20, trainLoss: 1.4, valLoss: 1.8 },
      { step: 30, trainLoss: 1.7, valLoss: 1.9 },
      { step: 40, trainLoss: null, valLoss: 1.9 },
      { step: 50, trainLoss: 1.4, valLoss: 1.3 },
    ];
    expect([20, 30, 40, 50, 60].map((step) => learnsByHeart({ step, bestStep: 10 }, measured))).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  test.each(["", "{}", "null", '{"progress":{"step":"6"},"config":{"train":{"steps":12}}}'])(
    "is refused with a trainer_state.json of %j",
    (state) => {
      expect(() => positionOf(withFile("trainer_state.json", state))).toThrow(
        "The run's trainer_state.json does not contain the step: the file is missing or damaged.",
      );
    },
  );
});
