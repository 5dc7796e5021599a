/** Draws curves with uPlot, which gets only decimated points. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { logTicks } from "../../src/plot/ticks.ts";
import {
  type Curve,
  type DrawnCurve,
  drawnCurve,
  extentOf,
  heightsOf,
  type Interval,
  plannedEnd,
  type Start,
} from "./curve.ts";
import { endOf, fittingNames, moveOffLines, placeLabels } from "./labels.ts";
import { marksOf, tickTexts, type XAxis, xMarks } from "./ticks.ts";

export interface PlotView {
  readonly curves: readonly Curve[];
  readonly log: boolean;
  /** Minimum span of a linear y axis while the whole curve is shown. */
  readonly leastSpan: number;
  /** Whether a linear y axis begins at 0 while the whole curve is shown. */
  readonly fromZero: boolean;
  readonly start: Start;
  readonly zoom: Interval | null;
  /** Final x of the axis. Undefined: the last value. */
  readonly planned: number | undefined;
  readonly xAxis: XAxis;
  readonly width: number;
  readonly height: number;
  /** Changes when the theme changes. The plot then reads its colours again. */
  readonly theme: string;
}

export interface Plot {
  readonly draw: (view: PlotView) => void;
  /** Moves the cursor line to an x; null hides it. */
  readonly point: (x: number | null) => void;
  readonly range: () => Interval;
  readonly destroy: () => void;
}

export interface PlotEvents {
  /** Called when the pointer moves to an x, or with null when it leaves. */
  readonly onPoint: (x: number | null) => void;
  readonly onZoom: (range: Interval | null) => void;
  /** Called with the highest value of a start that is hidden or could be hidden, or with undefined. */
  readonly onStart: (startsAt: number | undefined) => void;
}

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const font = "12px ui-sans-serif, system-ui, sans-serif";

/** Columns of uPlot's table for the curves: the band, if there is one, and the line. */
const tablesOf = (drawn: readonly DrawnCurve[]): uPlot.AlignedData =>
  uPlot.join(
    drawn.flatMap(({ line, band }): uPlot.AlignedData[] => [
      ...(band === undefined
        ? []
        : [[band.x as number[], band.high as number[], band.low as number[]] as uPlot.AlignedData]),
      [line.x as number[], line.y as number[]],
    ]),
  );

/** A line with one point is invisible, so it gets a dot. */
const hasDots = ({ curve, line }: DrawnCurve): boolean => curve.style.marks || line.x.length < 3;

/** Curves have fractional coordinates. Rounded to whole pixels, a smooth curve would have steps. */
const fractional = { pxAlign: 0 } as const;

const seriesOf = (drawn: readonly DrawnCurve[]): { readonly series: uPlot.Series[]; readonly bands: uPlot.Band[] } => {
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const one of drawn) {
    const { curve, band } = one;
    const { color, dash, width } = curve.style;
    const stroke = css(color);
    if (band !== undefined) {
      const edge: uPlot.Series = { ...fractional, width: 0, spanGaps: true, points: { show: false } };
      series.push(edge, edge);
      bands.push({
        series: [series.length - 2, series.length - 1],
        fill: `color-mix(in srgb, ${stroke} 18%, transparent)`,
      });
    }
    const points = hasDots(one)
      ? { show: true, size: width === 0 ? 9 : 5, fill: stroke, stroke, width: 0 }
      : { show: false };
    series.push({ ...fractional, stroke, width, dash: [...dash], spanGaps: true, points });
  }
  return { series, bands };
};

/** Describes the properties that uPlot cannot change. If the description changes, the plot makes a new uPlot. */
const shapeOf = ({ log, theme }: PlotView, drawn: readonly DrawnCurve[]): string =>
  JSON.stringify([
    log,
    theme,
    devicePixelRatio,
    drawn.map((one) => [one.curve.key, one.curve.style, one.band !== undefined, hasDots(one)]),
  ]);

/**
 * Minimum width of a chart with names next to curves, in pixels. In a narrower chart, names are only in the key above
 * the chart.
 */
const leastForNames = 480;
/** Maximum number of characters of a name in the chart. The key shows longer names in full. */
const mostAtEnd = 18;
const nameSize = 12;
const nameFont = (ratio: number): string => `${nameSize * ratio}px ui-sans-serif, system-ui, sans-serif`;
/** Distance between the end of a curve and its name, in pixels. */
const nameGap = 6;

const namesOf = (drawn: readonly DrawnCurve[]): readonly string[] =>
  fittingNames(
    drawn.map(({ curve }) => curve),
    mostAtEnd,
    "tag",
  );

const measuring = document.createElement("canvas").getContext("2d");

/** Pixels to reserve at the right of the plot for the names. Names of curves that end earlier need less space there. */
const roomForNames = (drawn: readonly DrawnCurve[]): number => {
  if (measuring === null) return 112;
  measuring.font = nameFont(1);
  return nameGap + 4 + Math.ceil(Math.max(...namesOf(drawn).map((name) => measuring.measureText(name).width)));
};

/** Draws the names at the ends of the curves. Names do not overlap each other or the curves. */
const drawLabels = (u: uPlot, drawn: readonly DrawnCurve[], range: Interval): void => {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = nameFont(ratio);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const names = namesOf(drawn);
  const labels = drawn.flatMap(({ curve, line }, i) => {
    const end = endOf(line, range);
    const text = names[i] ?? "";
    if (end === undefined || text === "") return [];
    const at = { x: u.valToPos(end.x, "x", true) + nameGap * ratio, y: u.valToPos(end.y, "y", true) };
    return [{ ...at, text, width: ctx.measureText(text).width, color: css(curve.style.color) }];
  });
  const half = (nameSize * ratio) / 2;
  const { top, height } = u.bbox;
  const room = {
    gap: (nameSize + 2) * ratio,
    top: top + half,
    bottom: top + height - half,
    right: ctx.canvas.width - 2 * ratio,
  };
  placeLabels(labels, room);
  const lines = drawn.map(({ line }) => ({
    x: line.x.map((value) => u.valToPos(value, "x", true)),
    y: line.y.map((value) => u.valToPos(value, "y", true)),
  }));
  // A name that a line would cross is left out here. The key above the chart has all names.
  const crossed = new Set(moveOffLines(labels, lines, room));
  const free = labels.filter((label) => !crossed.has(label));
  // An outline in the background colour keeps a name readable on top of other curves.
  ctx.lineWidth = 4 * ratio;
  ctx.lineJoin = "round";
  ctx.strokeStyle = css("--paper");
  // All outlines are drawn first, so that no outline covers a name.
  for (const { text, x, y } of free) ctx.strokeText(text, x, y);
  for (const { text, color, x, y } of free) {
    ctx.fillStyle = color;
    ctx.fillText(text, x, y);
  }
  ctx.restore();
};

export const createPlot = (target: HTMLElement, { onPoint, onZoom, onStart }: PlotEvents): Plot => {
  let u: uPlot | undefined;
  let shape = "";
  let drawn: readonly DrawnCurve[] = [];
  let view: PlotView | undefined;
  let x: Interval = [0, 1];
  let y: Interval = [0, 1];
  let at: number | null = null;
  /** True while the plot draws. The plot then ignores uPlot's cursor event, because no pointer has moved. */
  let isDrawing = false;

  const build = ({ width, height, log, xAxis }: PlotView): uPlot => {
    const { series, bands } = seriesOf(drawn);
    const line = css("--line");
    const common = { stroke: css("--soft"), font, grid: { stroke: line, width: 1 }, ticks: { show: false }, gap: 6 };
    const hasLabels = drawn.length > 1;
    return new uPlot(
      {
        width,
        height,
        padding: [10, () => (hasLabels && (view?.width ?? width) > leastForNames ? roomForNames(drawn) : 20), 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: false, range: () => [x[0], x[1]] }, y: { distr: log ? 3 : 1, range: () => [y[0], y[1]] } },
        axes: [
          {
            ...common,
            size: 26,
            splits: (self) => [...xMarks(view?.xAxis ?? xAxis, x, Math.max(2, self.width / 90))],
            values: (_, splits) => [...(view?.xAxis ?? xAxis).texts(splits)],
          },
          {
            ...common,
            size: 54,
            // Keeps all marks, because uPlot would leave out the labels of some powers.
            filter: (_, splits) => splits,
            splits: () => {
              const most = Math.max(2, (view?.height ?? height) / 45);
              return [...(log ? logTicks(...y, most) : marksOf(y, most))];
            },
            values: (_, splits) => [...tickTexts(splits)],
          },
        ],
        series,
        bands,
        hooks: {
          draw: [(self) => hasLabels && self.width > leastForNames && drawLabels(self, drawn, x)],
          setCursor: [
            (self) => {
              const { left = -1, event } = self.cursor;
              // A new plot sends this for its first drawing, too: the cursor of the plot before it stays.
              if (isDrawing || !event) return;
              onPoint(left < 0 ? null : self.posToVal(left, "x"));
            },
          ],
          setSelect: [
            (self) => {
              const { left, width: wide } = self.select;
              if (wide > 4) onZoom([self.posToVal(left, "x"), self.posToVal(left + wide, "x")]);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          ready: [
            (self) => {
              self.over.addEventListener("dblclick", () => onZoom(null));
              point(at);
            },
          ],
        },
      },
      tablesOf(drawn),
      target,
    );
  };

  const point = (value: number | null) => {
    at = value;
    if (u === undefined) return;
    const left = value === null ? -10 : u.valToPos(value, "x");
    // A new plot has no scales yet. The plot sets its cursor when it is ready.
    if (!Number.isFinite(left)) return;
    u.setCursor({ left, top: value === null ? -10 : 1 }, false);
  };

  return {
    draw(next) {
      view = next;
      const { curves, zoom, planned, width, height } = next;
      const [first, last] = extentOf(curves);
      x = zoom ?? [first, planned === undefined ? last : plannedEnd(last, planned)];
      drawn = curves.filter(({ length }) => length > 0).map((curve) => drawnCurve(curve, x, Math.max(100, width - 60)));
      const { range, startsAt } = heightsOf(drawn, x, next);
      y = range;
      onStart(startsAt);
      const nextShape = shapeOf(next, drawn);
      if (drawn.length === 0 || nextShape !== shape || u === undefined) {
        u?.destroy();
        u = drawn.length === 0 ? undefined : build(next);
      } else {
        const current = u;
        isDrawing = true;
        // A batch ends with the new size and scales. Without it, uPlot would use them later, and the cursor would get
        // its place from the old ones.
        current.batch(() => {
          if (current.width !== width || current.height !== height) current.setSize({ width, height });
          current.setData(tablesOf(drawn), true);
        });
        isDrawing = false;
      }
      shape = nextShape;
      point(at);
    },
    point,
    range: () => x,
    destroy: () => u?.destroy(),
  };
};
