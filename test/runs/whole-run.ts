/** A tiny run for comparison in the tests of run folders. The run's folder is removed after the tests. */
import { beforeAll, expect } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";

export type TrainChanges = NonNullable<PartialConfig<RunConfig>["train"]>;

export const failure = async (work: Promise<unknown>): Promise<Error> => {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  return error as Error;
};

export const resume = (path: string, more: object = {}): Promise<readonly TrainEvent[]> =>
  collect(train({ resume: path, ...anyBackend, ...more }));

export const useWholeRun = () => {
  const { newPath, writeText } = useFolder();
  const run = {
    data: "",
    /** Twelve steps, with evaluations at 5, 10 and 12 and checkpoints at 4, 8 and 12. */
    whole: "",
  };
  const options = (out: string, changes: TrainChanges = {}) =>
    ({
      preset: "book",
      config: { ...tinyRun, train: { ...tinyRun.train, ...changes } },
      data: run.data,
      out,
      ...anyBackend,
      finalSampleTokens: 3,
    }) as const;

  beforeAll(async () => {
    run.data = await writeText(wordsText("trust", 300));
    run.whole = newPath();
    await collect(train(options(run.whole)));
  });

  /** Ends a run in the middle of the work after the event, like a killed process. */
  const killedAt = async (out: string, type: string, step: number, changes?: TrainChanges): Promise<void> => {
    for await (const event of train(options(out, changes))) {
      if (event.type === type && "step" in event && event.step === step) break;
    }
  };
  return { newPath, writeText, run, options, killedAt };
};
