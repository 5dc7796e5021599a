/** The numbers of runs as curves of a chart. */
import { drawable, type Points } from "./points.ts";

/** Numbers of a run that can be drawn. */
export const metricNames = ["loss", "learning-rate", "grad-norm", "tokens-per-second"] as const;
export type MetricName = (typeof metricNames)[number];

/** What a chart's horizontal axis may count. */
export const xNames = ["steps", "tokens", "time"] as const;
export type XName = (typeof xNames)[number];

/** A run's numbers, in columns of equal length. */
export interface RunNumbers {
  readonly steps: {
    readonly step: readonly number[];
    readonly loss: readonly number[];
    readonly learningRate: readonly number[];
    readonly gradNorm: readonly number[];
    readonly tokensPerSecond: readonly number[];
  };
  readonly evals: { readonly step: readonly number[]; readonly valLoss: readonly number[] };
  /** Steps that were left out. */
  readonly leftOut: readonly number[];
}

/** A run to draw. */
export interface DrawnRun {
  /** Text, from a folder's name: it may have any character. */
  readonly name: string;
  readonly numbers: RunNumbers;
  /** Tokens that go through the model in a step. */
  readonly tokensPerStep: number;
  /** How its configuration differs from that of the others, as "train.learningRate 0.001". */
  readonly differences: readonly string[];
}

/** What is drawn of runs. */
export interface PlotOptions {
  readonly metric: MetricName;
  readonly x: XName;
  /** Whether the vertical axis is logarithmic. */
  readonly log: boolean;
}

/** The column of each metric. */
const columnNames = {
  loss: "loss",
  "learning-rate": "learningRate",
  "grad-norm": "gradNorm",
  "tokens-per-second": "tokensPerSecond",
} as const satisfies Readonly<Record<MetricName, keyof RunNumbers["steps"]>>;

/** Seconds from the run's beginning to the end of each step, as far as steps took them. */
export const secondsOf = ({ numbers: { steps }, tokensPerStep }: DrawnRun): readonly number[] => {
  let seconds = 0;
  return steps.tokensPerSecond.map((rate) => {
    if (rate > 0) seconds += tokensPerStep / rate;
    return seconds;
  });
};

/** The place of the last of `steps`, in ascending order, that is at most `step`; −1 if there is none. */
const placeOf = (steps: readonly number[], step: number): number => {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

/** The x of a step. */
const xOf = (run: DrawnRun, x: XName): ((step: number) => number) => {
  switch (x) {
    case "steps":
      return (step) => step;
    case "tokens":
      return (step) => step * run.tokensPerStep;
    case "time": {
      const seconds = secondsOf(run);
      const { step: steps } = run.numbers.steps;
      return (step) => seconds[placeOf(steps, step)] ?? 0;
    }
  }
};

/** The curves of a run. */
export interface Curves {
  /** Of the steps. */
  readonly steps: Points;
  /** Of the evaluations: empty where the metric has none. */
  readonly evals: Points;
  /** The x of each step that was left out. */
  readonly leftOut: readonly number[];
}

/** Numbers that are not finite are left out, and with a logarithmic axis those that are not above 0. */
export const curvesOf = (run: DrawnRun, { metric, x, log }: PlotOptions): Curves => {
  const { steps, evals, leftOut } = run.numbers;
  const at = xOf(run, x);
  const hasEvals = metric === "loss";
  return {
    steps: drawable({ x: steps.step.map(at), y: steps[columnNames[metric]] }, log),
    evals: drawable(hasEvals ? { x: evals.step.map(at), y: evals.valLoss } : { x: [], y: [] }, log),
    leftOut: leftOut.map(at),
  };
};
