/** Curves of several runs in one chart, and the differences between their configurations. */
import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Chart } from "../chart/chart.tsx";
import { type Curve, type Interval, smoothedNote } from "../chart/curve.ts";
import { shortName } from "../chart/labels.ts";
import { comparedStyle } from "../chart/palette.ts";
import { Swatch } from "../chart/swatch.tsx";
import { loss } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { RunState } from "../parts/run-state.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { isLive } from "../parts/state-words.ts";
import { ChartSettings, isLog, leastLossSpan, xAxes, xKindOf } from "../run/run-charts.tsx";
import { followRun, type RunFeed } from "../run/run-feed.ts";
import { thinnedNote } from "../run/run-notes.ts";
import { windowOf } from "../run/smoothing.ts";
import { address, compareAddress, comparedNames, runAddress, setQuery } from "../shell/address.ts";
import { later } from "../shell/later.tsx";
import { bestIn, incomparable, type Measure, measureOf, measures } from "./differences.ts";

/** The settings and differences are loaded after the curves, because they are below the curves. */
const Details = later(async () => (await import("./details-view.tsx")).Details, null);

/** Number of styles with their own colour and dashes. */
const most = 8;

interface Compared {
  readonly name: string;
  readonly feed: RunFeed;
}

const curveOf = (
  { name, feed }: Compared,
  n: number,
  measure: Measure["value"],
  query: URLSearchParams,
  longest: number,
): Curve | undefined => {
  void feed.version.value;
  const data = feed.data.value;
  if (data === undefined) return undefined;
  const x = xKindOf(query);
  const common = { key: name, label: name, style: comparedStyle(n, measure !== "loss") };
  const { steps, evals, pyramids, smoother } = data;
  if (measure === "loss") {
    const y = steps.column("loss");
    const smoothed = smoother.take(y, steps.length, windowOf(query, longest));
    return { ...common, x: steps.column(x), y, length: steps.length, pyramid: pyramids.loss, smoothed };
  }
  return {
    ...common,
    x: evals.column(x),
    y: evals.column(measure),
    length: evals.length,
    pyramid: undefined,
    smoothed: undefined,
  };
};

interface LegendProps {
  readonly runs: readonly Compared[];
  readonly names: readonly string[];
  readonly measure: Measure;
}

const Legend = ({ runs, names, measure }: LegendProps) => (
  <ul class="compared">
    {runs.map(({ name, feed }, n) => {
      const run = feed.summary.value;
      const best = bestIn(measure, run?.best ?? null);
      return (
        <li key={name}>
          <Swatch style={comparedStyle(n, true)} />
          <a href={runAddress(name)}>{name}</a>
          {run === undefined ? <span class="soft">{feed.failure.value ?? "…"}</span> : <RunState run={run} />}
          {best.value === undefined ? (
            <span class="soft">{run === undefined ? "" : isLive(run) ? "not measured yet" : "not measured"}</span>
          ) : (
            <span class="num">
              <span class="soft">best</span> {loss(best.value)} <span class="soft">{best.unit}</span>
            </span>
          )}
          {names.length > 2 && (
            <a
              class="quiet"
              href={compareAddress(names.filter((other) => other !== name))}
              aria-label={`Leave out ${name}`}
            >
              ×
            </a>
          )}
        </li>
      );
    })}
  </ul>
);

const Comparison = ({ names }: { readonly names: readonly string[] }) => {
  const runs = useMemo(() => names.slice(0, most).map((name) => ({ name, feed: followRun(name, true) })), []);
  useEffect(
    () => () => {
      for (const { feed } of runs) feed.close();
    },
    [runs],
  );
  const link = { cursor: useSignal<number | null>(null), zoom: useSignal<Interval | null>(null) };
  const known = useComputed(() => runs.flatMap(({ feed }) => feed.summary.value ?? []));
  const measure = useComputed(() => measureOf(address.value.query.get("measure"), known.value));
  // One slider sets the smoothing window of all runs.
  const longest = useComputed(() =>
    Math.max(
      ...runs.map(({ feed }) => {
        void feed.version.value;
        return feed.data.value?.steps.length ?? 0;
      }),
    ),
  );
  const curves: ReadonlySignal<readonly Curve[]> = useComputed(() =>
    runs.flatMap((run, n) => curveOf(run, n, measure.value.value, address.value.query, longest.value) ?? []),
  );
  const { query } = address.value;
  const kind = xKindOf(query);
  // The chart's files contain the notes, because the notes are part of the chart.
  const notes = useComputed(() => {
    const thinned = runs.flatMap(({ name, feed }) => {
      void feed.version.value;
      const note = measure.value.value === "loss" ? thinnedNote(feed.data.value) : undefined;
      return note === undefined ? [] : [`${shortName(name, 20)}: ${note}`];
    });
    const wrong = incomparable(known.value, measure.value.unit);
    return [wrong, smoothedNote(curves.value), ...thinned].filter((note) => note !== undefined);
  }).value;
  const labels = { step: "Steps", tokens: "Tokens", seconds: "Training time" };
  return (
    <>
      {names.length > most && (
        <Notice tone="plain">
          The first {most} of {names.length} runs are shown.
        </Notice>
      )}
      <ChartSettings steps={measure.value.value === "loss" ? longest.value : undefined}>
        <Segmented
          label="Measure"
          value={measure.value.value}
          options={measures}
          onChange={(value) => setQuery({ measure: value })}
        />
      </ChartSettings>
      <Chart
        title={measure.value.title}
        unit={measure.value.unit}
        name={`compare-${measure.value.value}`}
        subject={[...new Set(known.value.map(({ corpus }) => corpus))].join(", ") || undefined}
        curves={curves}
        xLabel={labels[kind]}
        xAxis={xAxes[kind]}
        log={isLog(query)}
        height={340}
        link={link}
        format={loss}
        leastSpan={leastLossSpan}
        notes={notes}
      />
      <Legend runs={runs} names={names} measure={measure.value} />
      <Details runs={known.value} measure={measure.value} />
    </>
  );
};

export const CompareView = () => {
  const names = comparedNames(address.value.query);
  return (
    <section>
      <p class="crumb">
        <a href="/runs">Runs</a>
      </p>
      <h1>Compare</h1>
      {names.length === 0 ? (
        <p>
          Select two or more runs in <a href="/runs">the list</a>, then choose Compare.
        </p>
      ) : (
        <Comparison key={names.join("\n")} names={names} />
      )}
    </section>
  );
};
