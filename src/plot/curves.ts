/** Turns the numbers of runs into curves of a chart. */
import { drawable, type Points } from "./points.ts";

/** Metrics of a run that can be drawn. */
export const metricNames = ["loss", "learning-rate", "grad-norm", "tokens-per-second"] as const;
export type MetricName = (typeof metricNames)[number];

/** Units of the horizontal axis. */
export const xNames = ["steps", "tokens", "time"] as const;
export type XName = (typeof xNames)[number];

/** Numbers of a run, in columns of equal length. */
export interface RunNumbers {
  readonly steps: {
    readonly step: readonly number[];
    readonly loss: readonly number[];
    readonly learningRate: readonly number[];
    readonly gradNorm: readonly number[];
    readonly tokensPerSecond: readonly number[];
  };
  readonly evals: {
    readonly step: readonly number[];
    readonly valLoss: readonly number[];
    /** Losses of averaged weights; null at evaluations without them. Absent if the run has none. */
    readonly averagedLoss?: readonly (number | null)[];
  };
  /** Steps that were skipped. */
  readonly leftOut: readonly number[];
}

/** A run to draw. */
export interface DrawnRun {
  /** Name that comes from a folder. The name may contain any character. */
  readonly name: string;
  readonly numbers: RunNumbers;
  /** Tokens that each step processes. */
  readonly tokensPerStep: number;
  /** Configuration fields in which the run differs from the other runs, such as "train.learningRate 0.001". */
  readonly differences: readonly string[];
}

/** Options of the chart. */
export interface PlotOptions {
  readonly metric: MetricName;
  readonly x: XName;
  /** Whether the vertical axis is logarithmic. */
  readonly log: boolean;
}

/** Column of each metric. */
const columnNames = {
  loss: "loss",
  "learning-rate": "learningRate",
  "grad-norm": "gradNorm",
  "tokens-per-second": "tokensPerSecond",
} as const satisfies Readonly<Record<MetricName, keyof RunNumbers["steps"]>>;

/** Seconds of training from the run's beginning to the end of each step. The time between steps is not included. */
export const secondsOf = ({ numbers: { steps }, tokensPerStep }: DrawnRun): readonly number[] => {
  let seconds = 0;
  return steps.tokensPerSecond.map((rate) => {
    if (rate > 0) seconds += tokensPerStep / rate;
    return seconds;
  });
};

/**
 * Index of the last element of `steps` that is at most `step`, or −1 if no element is small enough. `steps` is in
 * ascending order.
 */
const placeOf = (steps: readonly number[], step: number): number => {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

/** Returns a function from a step to its x. */
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

/** Curves of a run. */
export interface Curves {
  /** Points for the steps. */
  readonly steps: Points;
  /** Points for the evaluations. Empty if the metric has no evaluations. */
  readonly evals: Points;
  /** Points for the evaluations of averaged weights. */
  readonly averaged: Points;
  /** x of each skipped step. */
  readonly leftOut: readonly number[];
}

/** The evaluations of averaged weights. */
export const averagedOf = ({ step, averagedLoss = [] }: RunNumbers["evals"]): { step: number[]; valLoss: number[] } => {
  const found = averagedLoss.flatMap((loss, i) => (loss === null ? [] : [{ step: step[i] as number, loss }]));
  return { step: found.map((one) => one.step), valLoss: found.map(({ loss }) => loss) };
};

/**
 * Makes the curves of a run. Numbers that are not finite are left out. A logarithmic axis also leaves out numbers that
 * are 0 or negative.
 */
export const curvesOf = (run: DrawnRun, { metric, x, log }: PlotOptions): Curves => {
  const { steps, evals, leftOut } = run.numbers;
  const at = xOf(run, x);
  const hasEvals = metric === "loss";
  const averaged = averagedOf(evals);
  return {
    steps: drawable({ x: steps.step.map(at), y: steps[columnNames[metric]] }, log),
    evals: drawable(hasEvals ? { x: evals.step.map(at), y: evals.valLoss } : { x: [], y: [] }, log),
    averaged: drawable(hasEvals ? { x: averaged.step.map(at), y: averaged.valLoss } : { x: [], y: [] }, log),
    leftOut: leftOut.map(at),
  };
};
