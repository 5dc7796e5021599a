import type { Style } from "../../process/terminal.ts";
import { formatCount } from "../texts/format.ts";
import { type CurvePoint, cellFor, createCanvas, isDrawable, meanByColumn } from "./canvas.ts";

export interface LossCurve {
  /** Points sorted by step. */
  readonly train: readonly CurvePoint[];
  readonly validation: readonly CurvePoint[];
  /** Step at the right edge. */
  readonly steps: number;
}

export interface CurveSize {
  /** Total columns. */
  readonly width: number;
  /** Lines of the plot. The axis needs two more lines. */
  readonly height: number;
}

/** The axis is logarithmic, because the loss falls most at the beginning. A loss of 0 is drawn at the bottom. */
const smallestLoss = 1e-4;
const height = (loss: number): number => Math.log(Math.max(loss, smallestLoss));

const axisLabel = (loss: number): string => loss.toFixed(loss < 100 ? 2 : 0);

/** Puts `left`, `middle` and `right` in a line of `width` columns. `middle` is left out if it does not fit. */
const spread = (left: string, middle: string, right: string, width: number, middleWidth: number): string => {
  const free = width - left.length - right.length;
  if (free < middleWidth + 4) return left + " ".repeat(Math.max(1, free)) + right;
  const before = Math.min(free - middleWidth - 2, Math.max(2, Math.floor((width - middleWidth) / 2) - left.length));
  return left + " ".repeat(before) + middle + " ".repeat(free - before - middleWidth) + right;
};

/**
 * Draws the loss over the steps as lines of text. The training loss is a line of braille dots, or ASCII characters on a
 * terminal without Unicode. The validation loss is a mark for each evaluation. Returns no lines if no point is finite
 * or the width is too small.
 */
export const lossCurve = (
  { train, validation, steps }: LossCurve,
  { width, height: rows }: CurveSize,
  { symbols, colors }: Style,
): string[] => {
  const learned = train.filter(isDrawable);
  const measured = validation.filter(isDrawable);
  const cell = cellFor(symbols.unicode);
  const columnIn = (dots: number) => (step: number) =>
    Math.min(dots - 1, Math.max(0, Math.round((step / Math.max(1, steps)) * (dots - 1))));
  // The axis covers the drawn means, not single points. Otherwise one batch with a low loss would flatten the curve.
  const drawn = meanByColumn(learned, columnIn(Math.max(1, width * cell.across)));
  const heights = [...drawn.map(([, loss]) => height(loss)), ...measured.map(({ loss }) => height(loss))];
  if (heights.length === 0 || rows < 2) return [];
  let low = heights.reduce((a, b) => Math.min(a, b));
  let high = heights.reduce((a, b) => Math.max(a, b));
  if (high - low < 0.02) {
    low -= 0.05;
    high += 0.05;
  }
  const lossAt = (row: number): number => Math.exp(high - ((high - low) * row) / (rows - 1));
  const labelled = new Set([0, Math.round((rows - 1) / 2), rows - 1]);
  const labelWidth = Math.max(...[...labelled].map((row) => axisLabel(lossAt(row)).length));
  const plotWidth = width - labelWidth - 2;
  if (plotWidth < 10) return [];

  const lastY = rows * cell.down - 1;
  const x = columnIn(plotWidth * cell.across);
  const y = (loss: number): number =>
    Math.min(lastY, Math.max(0, Math.round(((high - height(loss)) / (high - low)) * lastY)));

  const canvas = createCanvas(plotWidth, rows, cell);
  canvas.line(meanByColumn(learned, x).map(([column, loss]) => [column, y(loss)] as const));
  const marks = new Set(
    measured.map(({ step, loss }) => `${Math.floor(x(step) / cell.across)},${Math.floor(y(loss) / cell.down)}`),
  );

  const axis = symbols.unicode
    ? { tick: "┤", side: "│", corner: "└", floor: "─" }
    : { tick: "+", side: "|", corner: "+", floor: "-" };
  const lines = Array.from({ length: rows }, (_, row) => {
    const label = (labelled.has(row) ? axisLabel(lossAt(row)) : "").padStart(labelWidth);
    let plot = "";
    for (let column = 0; column < plotWidth; column++) {
      const dots = canvas.character(column, row);
      if (marks.has(`${column},${row}`)) plot += colors.yellow(symbols.mark);
      else plot += dots === undefined ? " " : colors.cyan(dots);
    }
    return `${colors.dim(`${label} ${labelled.has(row) ? axis.tick : axis.side}`)}${plot.trimEnd()}`;
  });
  const indent = " ".repeat(labelWidth + 1);
  const sample = symbols.unicode ? "⠤⠤" : "--";
  const legend = `${colors.cyan(sample)} training  ${colors.yellow(symbols.mark)} validation`;
  const legendWidth = "-- training  o validation".length;
  lines.push(colors.dim(indent + axis.corner + axis.floor.repeat(plotWidth)));
  lines.push(`${indent} ${spread("0", legend, `${formatCount(steps)} steps`, plotWidth, legendWidth)}`);
  return lines;
};

/**
 * The step at the right edge during a run. This step doubles until it reaches the planned number of steps, so that a
 * short curve fills the plot.
 */
export const shownSteps = (step: number, steps: number): number => {
  for (let halvings = 4; halvings > 0; halvings--) {
    const shown = Math.ceil(steps / 2 ** halvings);
    if (step <= shown) return shown;
  }
  return steps;
};
