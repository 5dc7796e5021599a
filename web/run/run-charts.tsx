/** Curves of a run, and their display settings, which are in the address. */
import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { Chart } from "../chart/chart.tsx";
import { type Curve, type Interval, type Start, smoothedNote } from "../chart/curve.ts";
import { plainStyle, trainingStyle, validationStyle } from "../chart/palette.ts";
import { stepAxis, timeAxis, tokenAxis, type XAxis } from "../chart/ticks.ts";
import { count, loss, rate, short } from "../parts/format.ts";
import { Segmented } from "../parts/segmented.tsx";
import { isLive } from "../parts/state-words.ts";
import { address, setQuery } from "../shell/address.ts";
import { type RunData, type StepValue, type XKind, xKinds } from "./run-data.ts";
import type { RunFeed } from "./run-feed.ts";
import { thinnedNote } from "./run-notes.ts";
import { usualWindow, windowOf, windows } from "./smoothing.ts";
import { recentRate } from "./time-left.ts";

const axisLabels: Readonly<Record<XKind, string>> = { step: "Steps", tokens: "Tokens", seconds: "Training time" };

export const xKindOf = (query: URLSearchParams): XKind => xKinds.find((kind) => kind === query.get("x")) ?? "step";
const startOf = (query: URLSearchParams): Start => (query.get("start") === "shown" ? "shown" : "hidden");
export const isLog = (query: URLSearchParams): boolean => query.get("scale") === "log";

/** One axis object per kind of axis. So a chart gets a new object only if the kind changes. */
export const xAxes: Readonly<Record<XKind, XAxis>> = { step: stepAxis, tokens: tokenAxis, seconds: timeAxis };

export const trainingCurve = (data: RunData, x: XKind, value: StepValue, window: number): Curve => {
  const { steps, pyramids, smoother, medians } = data;
  const y = steps.column(value);
  return {
    key: value,
    label: value === "loss" ? "training" : "",
    style: value === "loss" ? trainingStyle : plainStyle,
    x: steps.column(x),
    y,
    length: steps.length,
    pyramid: pyramids[value],
    ...(value === "tokensPerSecond" && {
      medians: medians.take(steps.column(x), y, steps.length),
      latest: recentRate(data),
    }),
    smoothed: value === "loss" ? smoother.take(y, steps.length, window) : undefined,
  };
};

export const validationCurve = ({ evals }: RunData, x: XKind): Curve => ({
  key: "valLoss",
  label: "validation",
  style: validationStyle,
  x: evals.column(x),
  y: evals.column("valLoss"),
  length: evals.length,
  pyramid: undefined,
  smoothed: undefined,
});

export interface ChartSettingsProps {
  /** Number of steps of the longest smoothed curve. Undefined: no curve is smoothed. */
  readonly steps: number | undefined;
  readonly children?: ComponentChildren;
}

export const ChartSettings = ({ steps, children }: ChartSettingsProps) => {
  const { query } = address.value;
  const window = windowOf(query, steps ?? 0);
  return (
    <div class="toolbar chart-settings">
      {children}
      <Segmented
        label="Axis"
        value={xKindOf(query)}
        options={[
          { value: "step", label: "Steps" },
          { value: "tokens", label: "Tokens" },
          { value: "seconds", label: "Time" },
        ]}
        onChange={(value) => setQuery({ x: value === "step" ? null : value })}
      />
      <Segmented
        label="Scale"
        value={isLog(query) ? "log" : "linear"}
        options={[
          { value: "linear", label: "Linear" },
          { value: "log", label: "Log" },
        ]}
        onChange={(value) => setQuery({ scale: value === "linear" ? null : value })}
      />
      {steps !== undefined && (
        <label class="slider">
          Smoothing
          <input
            type="range"
            min={0}
            max={windows.length - 1}
            step={1}
            value={windows.indexOf(window)}
            aria-valuetext={window === 1 ? "none" : `over ${window} steps`}
            onInput={({ currentTarget }) => {
              const size = windows[Number(currentTarget.value)] ?? 1;
              setQuery({ smooth: size === usualWindow(steps) ? null : String(size) });
            }}
          />
          <output class="num">{window === 1 ? "none" : `${window} steps`}</output>
        </label>
      )}
    </div>
  );
};

/** Minimum span of a loss chart, in nats or bits. Smaller differences are noise. */
export const leastLossSpan = 0.05;

const small = [
  { value: "learningRate", title: "Learning rate", unit: "per update" },
  { value: "gradNorm", title: "Gradient norm", unit: "before clipping" },
  { value: "tokensPerSecond", title: "Speed", unit: "tokens per second" },
] as const;

const formats = { learningRate: rate, gradNorm: short, tokensPerSecond: count } as const;

/**
 * Final x of the axis while a run trains. For seconds there is no final x, because the seconds of future steps are
 * unknown.
 */
const plannedX = (run: RunSummary, data: RunData | undefined, kind: XKind): number | undefined => {
  if (!isLive(run) || data === undefined || kind === "seconds") return undefined;
  return run.steps * (kind === "tokens" ? data.tokensPerStep : 1);
};

export interface RunChartsProps {
  readonly feed: RunFeed;
  readonly run: RunSummary;
  /** Shown between the loss and the other curves. */
  readonly children: ComponentChildren;
}

export const RunCharts = ({ feed, run, children }: RunChartsProps) => {
  const { name } = run;
  const link = { cursor: useSignal<number | null>(null), zoom: useSignal<Interval | null>(null) };
  const kind = useComputed(() => xKindOf(address.value.query));
  const curvesOf = (make: (data: RunData, x: XKind) => readonly Curve[]): ReadonlySignal<readonly Curve[]> =>
    useComputed(() => {
      void feed.version.value;
      const data = feed.data.value;
      return data === undefined ? [] : make(data, kind.value);
    });
  const losses = curvesOf((data, x) => {
    const window = windowOf(address.value.query, data.steps.length);
    return [trainingCurve(data, x, "loss", window), validationCurve(data, x)];
  });
  const others = small.map((one) => ({
    ...one,
    curves: curvesOf((data, x) => [trainingCurve(data, x, one.value, 1)]),
  }));
  const notes = useComputed(() => {
    void feed.version.value;
    const data = feed.data.value;
    return [smoothedNote(losses.value), thinnedNote(data)].filter((note) => note !== undefined);
  }).value;
  const common = {
    xLabel: axisLabels[kind.value],
    xAxis: xAxes[kind.value],
    subject: `${name}, on ${run.corpus}`,
    planned: plannedX(run, feed.data.value, kind.value),
    empty: "The curve begins with the first step",
    link,
  };
  return (
    <>
      <section aria-label="Curves">
        <ChartSettings steps={feed.data.value?.steps.length ?? 0} />
        <Chart
          {...common}
          title="Loss"
          unit="nats per token"
          name={`${name}-loss`}
          curves={losses}
          log={isLog(address.value.query)}
          height={340}
          format={loss}
          leastSpan={leastLossSpan}
          start={startOf(address.value.query)}
          onStart={(start) => setQuery({ start: start === "hidden" ? null : "shown" })}
          notes={notes}
        />
      </section>
      {children}
      <section class="small-charts" aria-label="More curves">
        {others.map(({ value, title, unit, curves }) => (
          <Chart
            key={value}
            {...common}
            title={title}
            unit={unit}
            notes={curves.value[0]?.medians === undefined ? [] : ["The line shows medians."]}
            name={`${name}-${value}`}
            curves={curves}
            log={false}
            height={150}
            format={formats[value]}
          />
        ))}
      </section>
    </>
  );
};
