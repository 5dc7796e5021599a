/** Values of a run in columns. The values come from the run's series, and then from each event. */

import type { EvalEvent, StepEvent, TrainEvent } from "../../src/runs/events.ts";
import type { RunSeries } from "../../src/serve/studio/protocol.ts";
import { createMedians, type Medians } from "../chart/medians.ts";
import { createPyramid, type Pyramid } from "../chart/pyramid.ts";
import { createSmoother, type Smoother } from "../chart/smooth.ts";
import { createTable, lowerBound, type Table } from "../chart/table.ts";

export const stepValues = ["loss", "learningRate", "gradNorm", "tokensPerSecond"] as const;
export type StepValue = (typeof stepValues)[number];
/**
 * `seconds` is the time of the training steps alone, computed from the speed of each step. Runs do not record the time
 * of an evaluation. So an evaluation is shown at the time at which its step ends.
 */
export const xKinds = ["step", "tokens", "seconds"] as const;
export type XKind = (typeof xKinds)[number];
export type StepColumn = StepValue | XKind;
export type EvalColumn = XKind | "valLoss" | "trainLoss" | "natsPerCharacter" | "bitsPerByte";

export interface Sample {
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

export interface RunData {
  readonly steps: Table<StepColumn>;
  readonly evals: Table<EvalColumn>;
  readonly pyramids: Readonly<Record<StepValue, Pyramid>>;
  readonly smoother: Smoother;
  /** Medians of tokens per second. */
  readonly medians: Medians;
  /** Samples, ordered by step. */
  readonly samples: readonly Sample[];
  readonly leftOut: readonly number[];
  /** Whether the columns lack steps, because the run has more than `mostSteps` steps. */
  readonly isThinned: boolean;
  /**
   * If there are more than twice this number of steps, the page should request the series again. The server then sends
   * fewer steps.
   */
  readonly mostSteps: number;
  readonly tokensPerStep: number;
  /** Number of held-out tokens; null if it was not recorded. */
  readonly valTokens: number | null;
  /** Whether the run learns conversations. In each sample, the model then answers the prompt. */
  readonly chat: boolean;
  /** Whether the validation text is the training text itself. */
  readonly valIsTraining: boolean;
  readonly take: (event: TrainEvent) => void;
}

type StepRow = Pick<StepEvent, "step" | StepValue>;
type EvalRow = Pick<EvalEvent, "step" | "valLoss" | "trainLoss" | "natsPerCharacter" | "bitsPerByte">;

export const createRunData = (series: RunSeries): RunData => {
  const { tokensPerStep, thinned, mostSteps, valIsTraining } = series;
  let { valTokens, chat } = series;
  const steps = createTable<StepColumn>(["step", "tokens", "seconds", ...stepValues]);
  const evals = createTable<EvalColumn>([
    "step",
    "tokens",
    "seconds",
    "valLoss",
    "trainLoss",
    "natsPerCharacter",
    "bitsPerByte",
  ]);
  const pyramids = {
    loss: createPyramid(),
    learningRate: createPyramid(),
    gradNorm: createPyramid(),
    tokensPerSecond: createPyramid(),
  };
  const smoother = createSmoother();
  const medians = createMedians();
  const samples: Sample[] = [];
  const leftOut: number[] = [];

  /** A resumed run repeats the steps after its checkpoint. The new values of these steps replace the old values. */
  const forgetFrom = (step: number): void => {
    const length = lowerBound(steps.column("step"), steps.length, step);
    if (length === steps.length) return;
    steps.truncate(length);
    smoother.truncate(length);
    medians.truncate(length);
    for (const pyramid of Object.values(pyramids)) pyramid.truncate(length);
  };
  /** Seconds at the end of the next step. */
  const secondsAfter = ({ tokensPerSecond }: StepRow): number => {
    const { length } = steps;
    const before = length === 0 ? 0 : (steps.column("seconds")[length - 1] as number);
    return before + (tokensPerSecond > 0 ? tokensPerStep / tokensPerSecond : 0);
  };
  const takeStep = (row: StepRow, known?: number): void => {
    forgetFrom(row.step);
    steps.push({ ...row, tokens: row.step * tokensPerStep, seconds: known ?? secondsAfter(row) });
  };
  const takeEval = (row: EvalRow): void => {
    evals.truncate(lowerBound(evals.column("step"), evals.length, row.step));
    const at = lowerBound(steps.column("step"), steps.length, row.step + 0.5) - 1;
    const seconds = at < 0 ? 0 : (steps.column("seconds")[at] as number);
    evals.push({ ...row, trainLoss: row.trainLoss ?? Number.NaN, tokens: row.step * tokensPerStep, seconds });
  };
  const takeSample = ({ step, prompt, text }: Sample): void => {
    while (samples.length > 0 && (samples.at(-1)?.step ?? 0) >= step) samples.pop();
    samples.push({ step, prompt, text });
  };

  const columns = series.steps;
  for (const [i, step] of columns.step.entries()) {
    const row = {
      step,
      loss: columns.loss[i] ?? Number.NaN,
      learningRate: columns.learningRate[i] ?? Number.NaN,
      gradNorm: columns.gradNorm[i] ?? Number.NaN,
      tokensPerSecond: columns.tokensPerSecond[i] ?? Number.NaN,
    };
    takeStep(row, thinned?.seconds[i]);
  }
  for (const [i, step] of series.evals.step.entries()) {
    takeEval({
      step,
      valLoss: series.evals.valLoss[i] ?? Number.NaN,
      trainLoss: series.evals.trainLoss[i] ?? null,
      natsPerCharacter: series.evals.natsPerCharacter[i] ?? Number.NaN,
      bitsPerByte: series.evals.bitsPerByte[i] ?? Number.NaN,
    });
  }
  for (const sample of series.samples) takeSample(sample);
  leftOut.push(...series.leftOut);

  return {
    steps,
    evals,
    pyramids,
    smoother,
    medians,
    samples,
    leftOut,
    isThinned: thinned !== null,
    mostSteps,
    tokensPerStep,
    valIsTraining,
    get valTokens() {
      return valTokens;
    },
    get chat() {
      return chat;
    },
    take(event) {
      if (event.type === "step") takeStep(event);
      else if (event.type === "eval") takeEval(event);
      else if (event.type === "sample") takeSample(event);
      else if (event.type === "nonfinite") leftOut.push(event.step);
      else if (event.type === "start") {
        // The series of a run that has just begun may have been read before this event.
        valTokens = event.valTokens;
        chat = event.documents?.chat === true;
      }
    },
  };
};
