/**
 * Chart that shows the values at the pointer or at a cursor that the arrow keys move. The chart can be saved as a file.
 */
import { type ReadonlySignal, type Signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { theme } from "../shell/theme.ts";
import { type Curve, extentOf, type Interval, nearestX, type Start, valueAt } from "./curve.ts";
import { fittingNames, shortName } from "./labels.ts";
import { lightColor } from "./palette.ts";
import { createPlot, type Plot } from "./plot.ts";
import { type FigureFormat, saveFigure } from "./save.ts";
import { Swatch } from "./swatch.tsx";
import { lowerBound } from "./table.ts";
import type { XAxis } from "./ticks.ts";

/** State that neighbouring charts share. */
export interface ChartLink {
  readonly cursor: Signal<number | null>;
  readonly zoom: Signal<Interval | null>;
}

export interface ChartProps {
  readonly title: string;
  /** Unit of y, for example "nats per token". */
  readonly unit: string;
  /** Of files. */
  readonly name: string;
  /**
   * Name of the run and of its text. Saved files show this name in the title, because a file has no page around the
   * chart.
   */
  readonly subject?: string | undefined;
  /** Curves of the chart. The chart reads this signal each time it draws. Other signals may determine its value. */
  readonly curves: ReadonlySignal<readonly Curve[]>;
  readonly xLabel: string;
  readonly xAxis: XAxis;
  /** Final x of the curves that still grow. */
  readonly planned?: number | undefined;
  readonly log: boolean;
  /** Minimum span of a linear y axis while the whole curve is shown. Default: 0. */
  readonly leastSpan?: number;
  /**
   * Whether a linear y axis begins at 0 while the whole curve is shown. The axis does not move while values fall if it
   * begins at 0. Default: false.
   */
  readonly fromZero?: boolean;
  /** Default: the chart always shows the start. */
  readonly start?: Start;
  readonly onStart?: (start: Start) => void;
  readonly height: number;
  readonly link: ChartLink;
  readonly format: (value: number) => string;
  /** What the readings are while there is no cursor. Default: "latest", or "recent median" if curves name their own. */
  readonly latestWords?: string;
  /** Words in place of curves without values. */
  readonly empty?: string;
  /** Notes that explain the curves. The notes are shown below the chart and are part of saved files. */
  readonly notes?: readonly string[];
  /** What the short names of the curves contain, such as "learningRate · nLayer". Default: the curves have none. */
  readonly keyTitle?: string | undefined;
}

interface Reading {
  readonly at: number | null;
  readonly values: readonly { readonly curve: Curve; readonly text: string }[];
}

const readingAt = (curves: readonly Curve[], at: number | null, format: (value: number) => string): Reading => ({
  at,
  values: curves.map((curve) => {
    if (at === null && curve.latest !== undefined) return { curve, text: format(curve.latest) };
    const value = valueAt(curve, at ?? Number.POSITIVE_INFINITY);
    if (value === undefined) return { curve, text: "–" };
    return {
      curve,
      text: value.mean === undefined ? format(value.y) : `${format(value.y)}, mean ${format(value.mean)}`,
    };
  }),
});

/** Moves the cursor by `by` values along the curve that has the most values. Returns the new x. */
const movedCursor = (curves: readonly Curve[], at: number | null, by: number): number | null => {
  const densest = curves.reduce<Curve | undefined>(
    (best, one) => (one.length > (best?.length ?? 0) ? one : best),
    undefined,
  );
  if (densest === undefined) return null;
  const last = densest.length - 1;
  const index = at === null ? last : lowerBound(densest.x, densest.length, at);
  return densest.x[Math.max(0, Math.min(last, index + by))] ?? null;
};

const steps: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -50,
  PageUp: 50,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

/** Maximum number of characters of a name above the chart. */
const mostInKey = 28;

const formats: readonly FigureFormat[] = ["SVG", "PNG", "CSV"];

export const Chart = (props: ChartProps) => {
  const {
    title,
    unit,
    name,
    subject,
    curves,
    xLabel,
    xAxis,
    planned,
    log,
    leastSpan = 0,
    fromZero = false,
    start,
    onStart,
    height,
    link,
    format,
    latestWords,
    empty = "No values yet",
    notes = [],
    keyTitle,
  } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const width = useSignal(0);
  const startsAt = useSignal<number | undefined>(undefined);
  // Makes a signal of the properties that the parent component passes. The signal gets a new object only when a
  // property changes.
  const given = { log, leastSpan, fromZero, start, xAxis, planned, format };
  const shown = useSignal(given);
  const before = shown.peek();
  if (
    before.log !== log ||
    before.leastSpan !== leastSpan ||
    before.fromZero !== fromZero ||
    before.start !== start ||
    before.xAxis !== xAxis ||
    before.planned !== planned ||
    before.format !== format
  )
    shown.value = given;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    plot.current = createPlot(element, {
      onPoint: (x) => {
        const at = x === null ? null : nearestX(curves.peek(), x);
        link.cursor.value = at;
        // The pointer has moved the plot's cursor line. The line must move back to the cursor, even if the cursor has
        // not changed.
        plot.current?.point(at);
      },
      onZoom: (range) => {
        link.zoom.value = range;
      },
      onStart: (value) => {
        startsAt.value = value;
      },
    });
    const observer = new ResizeObserver(() => {
      width.value = Math.floor(element.clientWidth);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  const frame = useRef(0);
  useSignalEffect(() => {
    const view = {
      ...shown.value,
      curves: curves.value,
      zoom: link.zoom.value,
      width: width.value,
      theme: theme.value,
    };
    cancelAnimationFrame(frame.current);
    if (view.width === 0) return;
    // Drawing waits for the next frame, because many events can arrive within one frame.
    frame.current = requestAnimationFrame(() => plot.current?.draw({ ...view, height }));
  });
  useSignalEffect(() => plot.current?.point(link.cursor.value));
  useEffect(() => () => cancelAnimationFrame(frame.current), []);

  const reading = useComputed(() => readingAt(curves.value, link.cursor.value, shown.value.format)).value;
  const names = fittingNames(
    reading.values.map(({ curve }) => curve),
    mostInKey,
    "short",
  );
  const isShort = reading.values.some(({ curve }, i) => curve.shorter !== undefined && names[i] !== curve.label);
  const isSmall = height < 200;
  const latest =
    latestWords ?? (reading.values.some(({ curve }) => curve.latest !== undefined) ? "recent median" : "latest");
  const [first, last] = extentOf(curves.value);
  const isEmpty = curves.value.every(({ length }) => length === 0);
  const named = reading.at === null ? latest : `${xLabel} ${xAxis.text(reading.at)}`;
  // The title says "latest".
  const at = isEmpty || reading.at === null ? "" : named;
  const spoken = `${named}: ${reading.values.map(({ curve, text }) => `${curve.label} ${text}`).join(", ")}`;

  const onKeyDown = (event: KeyboardEvent) => {
    const by = steps[event.key];
    if (by !== undefined) link.cursor.value = movedCursor(curves.value, link.cursor.value, by);
    else if (event.key === "Escape") {
      link.cursor.value = null;
      link.zoom.value = null;
    } else return;
    event.preventDefault();
  };
  const save = (format: FigureFormat) =>
    void saveFigure(
      {
        title: `${title}, ${unit}${subject === undefined ? "" : `: ${shortName(subject, 70)}`}`,
        xLabel,
        curves: curves.value,
        log,
        leastSpan,
        fromZero,
        start,
        zoom: link.zoom.value,
        xAxis,
        colorOf: lightColor,
        notes,
        keyTitle,
      },
      name,
      format,
    );

  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <span class="chart-title">
          <b>{title}</b>{" "}
          <span class="soft">
            {!isSmall && unit}
            {/* The space for the words is reserved from the beginning, so nothing moves when values arrive. */}
            <span class={`${isSmall ? "" : "where-wide"} ${isEmpty || reading.at !== null ? "unsaid" : ""}`}>
              {isSmall ? latest : ` (values: ${latest})`}
            </span>
          </span>
        </span>
        <span class="chart-save">
          {link.zoom.value !== null && (
            <button type="button" class="quiet" onClick={() => (link.zoom.value = null)}>
              Whole range
            </button>
          )}
          {formats.map((one) => (
            <button
              key={one}
              type="button"
              class="quiet"
              aria-label={`Save ${title} as ${one}`}
              onClick={() => save(one)}
            >
              {one}
            </button>
          ))}
        </span>
      </figcaption>
      <div class="chart-reading num" aria-hidden="true">
        {isShort && keyTitle !== undefined && <span class="reading-title">{keyTitle}</span>}
        {reading.values.map(({ curve, text }, i) => (
          <span class="reading" key={curve.key} title={names[i] === curve.label ? undefined : curve.label}>
            {curve.label !== "" && <Swatch style={curve.style} />}
            {curve.label !== "" && <span class="reading-label">{names[i]}</span>}{" "}
            <span class="reading-value">{text}</span>
            {isSmall && !isEmpty && <span class="reading-label">{unit}</span>}
          </span>
        ))}
        {/* Placed after the values, so the values do not move when these words appear. */}
        <span class="reading-at">{at}</span>
      </div>
      <div class="chart-frame">
        <div
          class={`chart-box chart-${height}`}
          role="slider"
          tabIndex={0}
          aria-label={`${title}, ${unit}: the arrow keys show values`}
          aria-valuemin={first}
          aria-valuemax={last}
          aria-valuenow={reading.at ?? last}
          aria-valuetext={spoken}
          onKeyDown={onKeyDown}
        >
          <div class="chart-plot" ref={box} />
          {isEmpty && <p class="chart-empty soft">{empty}</p>}
        </div>
        {startsAt.value !== undefined && (
          <button
            type="button"
            class="quiet chart-start"
            onClick={() => onStart?.(start === "hidden" ? "shown" : "hidden")}
          >
            {start === "hidden" ? `Show the start, up to ${Number(startsAt.value.toPrecision(3))}` : "Hide the start"}
          </button>
        )}
      </div>
      <p class="chart-axis soft">
        <span class={isSmall ? "" : "chart-notes"}>{notes.join(" ")}</span>
        <span>
          {xLabel}
          {!isSmall && <span class="where-mouse">; drag to zoom</span>}
        </span>
      </p>
    </figure>
  );
};
