/** Draws the curves of runs as one SVG file. The file refers to no other file. */
import {
  averagedOf,
  type Curves,
  curvesOf,
  type DrawnRun,
  type MetricName,
  type PlotOptions,
  type XName,
} from "./curves.ts";
import { type Column, columnsOf, enough, type Points, rangeOf, smoothed } from "./points.ts";
import { style } from "./style.ts";
import { escaped, inLines, wrapped } from "./text.ts";
import { type Axis, linearAxis, logAxis } from "./ticks.ts";

/** Comment in each file that `plotSvg` writes. Only files with this comment are overwritten. */
const plotMark = "<!-- foretoken plot wrote this file, and may write it anew as long as this line is in it -->";

/** Number of characters at the beginning of a file that may contain the comment. */
const beginningLength = 1024;

/**
 * Whether `plotSvg` wrote a file. Only the beginning of the file is read. The comment at the beginning warns users who
 * edit the file.
 * @param pieces the file's text, in order.
 */
export const isOurSvg = async (pieces: AsyncIterable<string> | Iterable<string>): Promise<boolean> => {
  let beginning = "";
  for await (const piece of pieces) {
    beginning += piece;
    if (beginning.length >= beginningLength) break;
  }
  return /^<svg [^\n]*\n/u.test(beginning) && beginning.split("\n")[1] === plotMark;
};

/** Positions in the units of the drawing. */
const width = 720;
const plot = { left: 84, right: 688, top: 70, bottom: 370 };
const columns = plot.right - plot.left;
const rowHeight = 27;
const legendTop = plot.bottom + 84;
const legendLeft = 74;
/** Number of characters that fit into a row at the largest text size. */
const rowColumns = 50;

const yNames: Readonly<Record<MetricName, string>> = {
  loss: "loss, nats per token",
  "learning-rate": "learning rate",
  "grad-norm": "gradient norm before clipping",
  "tokens-per-second": "tokens per second",
};

/** The longest unit is first, because the time axis uses the longest unit that fits its range. */
const timeUnits = [
  { name: "hours", seconds: 3600 },
  { name: "minutes", seconds: 60 },
  { name: "seconds", seconds: 1 },
];

const xNames: Readonly<Record<XName, string>> = {
  steps: "steps",
  tokens: "tokens",
  time: "of training, without evaluations",
};

/** Formats a number with at most `digits` decimals. */
const short = (value: number, digits = 1): string => String(+value.toFixed(digits));

/** Maps a curve's numbers to positions in the drawing. */
interface Scale {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

const pathOf = ({ x, y }: Points, scale: Scale): string =>
  x
    .map((value, i) => `${i === 0 ? "M" : "L"}${short(scale.x(value), 2)} ${short(scale.y(y[i] as number), 2)}`)
    .join("");

const pick = ({ x, y }: Points, places: readonly number[]): Points => ({
  x: places.map((i) => x[i] as number),
  y: places.map((i) => y[i] as number),
});

/** Shapes of the runs' marks, in order. */
const shapes: readonly ((x: number, y: number, r: number) => string)[] = [
  (x, y, r) => `M${short(x - r, 2)} ${short(y, 2)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (x, y, r) => `M${short(x - r, 2)} ${short(y - r, 2)}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${short(x, 2)} ${short(y - r, 2)}l${r} ${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${short(x, 2)} ${short(y - r, 2)}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`,
];

const markOf = (run: number, x: number, y: number, r = 3.5): string =>
  (shapes[run % shapes.length] ?? (() => ""))(x, y, r);

/** Maximum number of marks on a curve. More marks would hide the curve. */
const mostMarks = 80;
/** Approximate number of separate parts of a curve that smoothing leaves visible. */
const smoothParts = 60;

const lowestOf = (values: readonly number[]): number =>
  values.reduce((best, value, i) => (value < (values[best] as number) ? i : best), 0);

/**
 * A run with its curves and its style. `ink` and `evalInk` are indices of the run's colours. The smoothed curve is the
 * mean of up to `reach` steps on each side.
 */
interface Drawn extends DrawnRun {
  readonly curves: Curves;
  readonly reach: number;
  readonly ink: number;
  readonly evalInk: number;
}

/**
 * Draws the curve of the steps, raw and smoothed. If there are more steps than columns, a band replaces the raw curve.
 * In each column, the band goes from the lowest to the highest step.
 */
const stepsMarkup = ({ curves: { steps }, reach, ink }: Drawn, scale: Scale, all: readonly Column[]): string => {
  const line = { x: steps.x, y: smoothed(steps.y, reach) };
  const stroke = (name: string, points: Points): string => `<path class="${name}" d="${pathOf(points, scale)}"/>`;
  if (steps.x.length === 1) {
    return `<path class="dot" d="${markOf(0, scale.x(steps.x[0] as number), scale.y(steps.y[0] as number), 3)}"/>`;
  }
  if (steps.x.length <= columns) {
    return (reach > 0 ? stroke("raw", steps) : "") + stroke(`line dash-${ink}`, line);
  }
  const upper = pathOf(
    pick(
      steps,
      all.map(({ highest }) => highest),
    ),
    scale,
  );
  const lower = pathOf(pick(steps, all.map(({ lowest }) => lowest).reverse()), scale);
  const middles = all.map(({ first, last }) => (first + last) >> 1);
  return `<path class="band" d="${upper}${lower.replace("M", "L")}Z"/>${stroke(`line dash-${ink}`, pick(line, middles))}`;
};

/** Draws the curve of the evaluations with marks. The lowest mark is filled. */
const evalsMarkup = ({ curves: { evals }, ink }: Drawn, run: number, scale: Scale, all: readonly Column[]): string => {
  if (evals.x.length === 0) return "";
  const best = lowestOf(evals.y);
  const every = Math.ceil(evals.x.length / mostMarks);
  const mark = (i: number, name: string): string =>
    `<path class="${name}" d="${markOf(run, scale.x(evals.x[i] as number), scale.y(evals.y[i] as number))}"/>`;
  const marked = evals.x.map((_, i) => i).filter((i) => i !== best && (i % every === 0 || i === evals.x.length - 1));
  return [
    `<path class="line dash-${ink}" d="${pathOf(enough(evals, all), scale)}"/>`,
    ...marked.map((i) => mark(i, "mark")),
    mark(best, "mark best"),
  ].join("");
};

/** Draws the curve of averaged weights, without marks. */
const averagedMarkup = ({ curves: { averaged } }: Drawn, scale: Scale, all: readonly Column[]): string => {
  const [x, y] = [averaged.x[0], averaged.y[0]];
  if (x === undefined || y === undefined) return "";
  if (averaged.x.length === 1) return `<path class="dot" d="${markOf(0, scale.x(x), scale.y(y), 2.5)}"/>`;
  return `<path class="line averaged" d="${pathOf(enough(averaged, all), scale)}"/>`;
};

/** Draws a cross for each skipped step at the bottom of the chart, at most one per column. */
const leftOutMarkup = (places: readonly number[], scale: Scale): string => {
  const unique = [...new Set(places.map((x) => Math.round(scale.x(x))))];
  const crosses = unique.map((x) => `M${x - 3} ${plot.bottom - 9}l6 6m0-6l-6 6`);
  return crosses.length === 0 ? "" : `<path class="lost" d="${crosses.join("")}"/>`;
};

const runMarkup = (drawn: Drawn, run: number, scale: Scale): string => {
  const { curves, name, ink, evalInk } = drawn;
  const columnOf = (x: number): number => Math.floor(scale.x(x));
  return [
    `<g class="ink-${ink}"><title>${escaped(name)}: training</title>`,
    stepsMarkup(drawn, scale, columnsOf(curves.steps, columnOf)),
    leftOutMarkup(curves.leftOut, scale),
    "</g>",
    ...(curves.evals.x.length === 0
      ? []
      : [
          `<g class="ink-${evalInk}"><title>${escaped(name)}: validation</title>`,
          evalsMarkup(drawn, run, scale, columnsOf(curves.evals, columnOf)),
          "</g>",
        ]),
    ...(curves.averaged.x.length === 0
      ? []
      : [
          `<g class="ink-${evalInk}"><title>${escaped(name)}: validation of averaged weights</title>`,
          averagedMarkup(drawn, scale, columnsOf(curves.averaged, columnOf)),
          "</g>",
        ]),
  ].join("");
};

const textAt = (x: number, y: number, text: string, attributes = ""): string =>
  `<text x="${short(x)}" y="${short(y)}"${attributes}>${escaped(text)}</text>`;

const axesMarkup = (x: Axis, y: Axis): string => {
  const { left, right, top, bottom } = plot;
  const across = (tick: number): number => left + x.placeOf(tick) * columns;
  const up = (tick: number): number => bottom - y.placeOf(tick) * (bottom - top);
  return [
    ...y.ticks.map((tick) => `<path class="grid" d="M${left} ${short(up(tick), 2)}H${right}"/>`),
    `<path class="frame" d="M${left} ${top}V${bottom}H${right}"/>`,
    ...x.ticks.map((tick) => `<path class="frame" d="M${short(across(tick), 2)} ${bottom}v6"/>`),
    ...y.ticks.map((tick) => textAt(left - 8, up(tick) + 5, y.labelOf(tick), ' class="soft y" text-anchor="end"')),
    ...x.ticks.map((tick) =>
      textAt(across(tick), bottom + 28, x.labelOf(tick), ' class="soft x" text-anchor="middle"'),
    ),
  ].join("\n");
};

const count = (value: number, noun: string): string =>
  `${value.toLocaleString("en-US")} ${noun}${value === 1 ? "" : "s"}`;

/** Facts about a run: its lowest validation losses, and its number of skipped steps. */
const factsOf = ({ numbers, curves }: Drawn, { metric }: PlotOptions): readonly string[] => {
  const { step } = numbers.steps;
  const last = Math.max(step.at(-1) ?? 0, numbers.leftOut.at(-1) ?? 0);
  const { evals } = numbers;
  const best = lowestOf(evals.valLoss);
  const lowest = evals.valLoss[best];
  const averaged = averagedOf(evals);
  const bestAveraged = lowestOf(averaged.valLoss);
  const lowestAveraged = averaged.valLoss[bestAveraged];
  const all = last === 0 ? "no steps yet" : count(last, "step");
  return [
    metric === "loss" && lowest !== undefined && curves.evals.x.length > 0
      ? `validation ${lowest.toFixed(4)} at step ${(evals.step[best] ?? 0).toLocaleString("en-US")} of ${last.toLocaleString("en-US")}`
      : all,
    ...(metric === "loss" && lowestAveraged !== undefined
      ? [`averaged ${lowestAveraged.toFixed(4)} at step ${(averaged.step[bestAveraged] ?? 0).toLocaleString("en-US")}`]
      : []),
    ...(numbers.leftOut.length > 0 ? [`${count(numbers.leftOut.length, "step")} skipped`] : []),
  ];
};

/** Draws the legend. For each run, it shows a sample of the lines, the name, facts and differences. */
const legendOf = (runs: readonly Drawn[], options: PlotOptions): { readonly markup: string; readonly end: number } => {
  const parts: string[] = [];
  let at = legendTop;
  for (const [i, run] of runs.entries()) {
    const { ink, evalInk, curves } = run;
    const line = (x: number, y: number): string => `<path class="line dash-${ink}" d="M${x} ${y}h44"/>`;
    parts.push(`<g class="ink-${ink}">${line(16, at - 6)}</g>`);
    for (const text of wrapped(run.name, rowColumns, 3)) {
      parts.push(textAt(legendLeft, at, text));
      at += rowHeight;
    }
    const lines = [...inLines(factsOf(run, options), rowColumns, 2), ...inLines(run.differences, rowColumns, 4)];
    if (curves.evals.x.length > 0) {
      const mark = `<path class="mark" d="${markOf(i, 38, at - 6)}"/>`;
      parts.push(`<g class="ink-${evalInk}">${line(16, at - 6)}${mark}</g>`);
    }
    for (const text of lines) {
      parts.push(textAt(legendLeft, at, text, ' class="soft"'));
      at += rowHeight;
    }
  }
  for (const text of keyOf(runs)) {
    parts.push(textAt(16, at, text, ' class="soft"'));
    at += rowHeight;
  }
  return { markup: parts.join("\n"), end: at };
};

/** Explains the lines and marks. */
const keyOf = (runs: readonly Drawn[]): readonly string[] => {
  const reaches = runs.map(({ reach }) => reach).filter((reach) => reach > 0);
  const width = Math.max(0, ...reaches) * 2 + 1;
  const some = (test: (run: Drawn) => boolean): boolean => runs.some(test);
  return [
    ...(reaches.length > 0 ? [`Training lines are means of up to ${count(width, "step")}.`] : []),
    ...(some(({ curves }) => curves.steps.x.length > columns) ? ["Bands show the lowest and the highest step."] : []),
    ...(some(({ reach, curves }) => reach > 0 && curves.steps.x.length <= columns)
      ? ["Thin lines are single steps."]
      : []),
    ...(some(({ curves }) => curves.evals.x.length > 0)
      ? ["Marks are evaluations; the filled mark is the lowest evaluation."]
      : []),
    ...(some(({ curves }) => curves.averaged.x.length > 0)
      ? ["Rows of dots are evaluations of averaged weights."]
      : []),
    ...(some(({ curves }) => curves.leftOut.length > 0) ? ["Crosses are skipped steps."] : []),
  ];
};

/** Describes the chart in words, for readers who cannot see it. */
const described = (runs: readonly Drawn[], options: PlotOptions): string =>
  runs.map((run) => `${run.name}: ${[...factsOf(run, options), ...run.differences].join(", ")}.`).join(" ");

const titleOf = (runs: readonly DrawnRun[], { metric }: PlotOptions): string => {
  const [only] = runs;
  const what =
    metric === "loss"
      ? "Loss"
      : yNames[metric].replace(/ before.*/u, "").replace(/^./u, (first) => first.toUpperCase());
  return `${what} of ${runs.length === 1 && only !== undefined ? only.name : count(runs.length, "run")}`;
};

const axesOf = (all: readonly Curves[], { metric, x, log }: PlotOptions): { x: Axis; y: Axis; xName: string } => {
  const ys = rangeOf(all.flatMap(({ steps, evals, averaged }) => [steps.y, evals.y, averaged.y])) ?? {
    low: 1,
    high: 1,
  };
  const most = rangeOf(all.flatMap(({ steps, evals, leftOut }) => [steps.x, evals.x, leftOut]))?.high ?? 1;
  const unit = x === "time" ? (timeUnits.find(({ seconds }) => most >= 2 * seconds) ?? timeUnits.at(-1)) : undefined;
  const scale = unit?.seconds ?? 1;
  const wide = linearAxis(0, most / scale, { ticks: 6, fromZero: true, whole: x !== "time" });
  const fromZero = metric === "learning-rate" || metric === "tokens-per-second";
  const [low, high] = [fromZero && !log ? 0 : ys.low, fromZero && !log ? ys.high * 1.04 : ys.high];
  return {
    x: {
      ...wide,
      placeOf: (value) => wide.placeOf(value / scale),
      ticks: wide.ticks.map((tick) => tick * scale),
      labelOf: (tick) => wide.labelOf(tick / scale),
    },
    y: log ? logAxis(low, high, 6) : linearAxis(low, high, { ticks: 6, fromZero }),
    xName: unit === undefined ? xNames[x] : `${unit.name} ${xNames[x]}`,
  };
};

/**
 * Draws runs.
 * @param runs at most `mostRuns` runs. The names of the runs are never interpreted as markup.
 * @returns an SVG file as text.
 */
export const plotSvg = (runs: readonly DrawnRun[], options: PlotOptions): string => {
  const drawn = runs.map((run, i): Drawn => {
    const curves = curvesOf(run, options);
    // The learning rate is not smoothed, because it has no noise.
    const reach = options.metric === "learning-rate" ? 0 : Math.floor(curves.steps.x.length / smoothParts / 2);
    return { ...run, curves, reach, ink: i, evalInk: runs.length === 1 ? 1 : i };
  });
  const { x, y, xName } = axesOf(
    drawn.map(({ curves }) => curves),
    options,
  );
  const scale: Scale = {
    x: (value) => plot.left + x.placeOf(value) * columns,
    y: (value) => plot.bottom - y.placeOf(value) * (plot.bottom - plot.top),
  };
  const isEmpty = drawn.every(({ curves: { steps, evals } }) => steps.x.length + evals.x.length === 0);
  const legend = legendOf(drawn, options);
  const title = titleOf(runs, options);
  const height = legend.end - rowHeight + 14;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="fp" viewBox="0 0 ${width} ${height}" role="img">`,
    plotMark,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(described(drawn, options))}</desc>`,
    `<style>${style}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    textAt(16, 30, wrapped(title, 48, 1).join(""), ' class="title"'),
    textAt(16, 56, `${yNames[options.metric]}${options.log ? " (logarithmic)" : ""}`, ' class="soft"'),
    isEmpty
      ? textAt((plot.left + plot.right) / 2, 220, "nothing to draw yet", ' text-anchor="middle"')
      : axesMarkup(x, y),
    isEmpty ? "" : textAt((plot.left + plot.right) / 2, plot.bottom + 54, xName, ' class="soft" text-anchor="middle"'),
    ...drawn.map((run, i) => runMarkup(run, i, scale)),
    legend.markup,
    "</svg>",
    "",
  ].join("\n");
};
