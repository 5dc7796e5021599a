import type { Style } from "../terminal.ts";
import { formatCount } from "./format.ts";

export interface CurvePoint {
  readonly step: number;
  /** Nats per token. */
  readonly loss: number;
}

export interface LossCurve {
  /** By step, rising. */
  readonly train: readonly CurvePoint[];
  readonly validation: readonly CurvePoint[];
  /** The step at the right edge. */
  readonly steps: number;
}

export interface CurveSize {
  /** Columns in all. */
  readonly width: number;
  /** Lines of the plot; two more are for the axis. */
  readonly height: number;
}

/** How a character cell is divided into dots, and which character shows which dots (row by row, bit 0 first). */
interface Cell {
  readonly across: number;
  readonly down: number;
  readonly glyph: (bits: number) => string;
}

/** Unicode's braille patterns: their dots are numbered down the columns, the fourth row coming last. */
const brailleBits = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
const braille: Cell = {
  across: 2,
  down: 4,
  glyph: (bits) => String.fromCodePoint(0x2800 + brailleBits.reduce((sum, bit, i) => sum + ((bits >> i) & 1) * bit, 0)),
};
const ascii: Cell = { across: 1, down: 3, glyph: (bits) => [" ", "'", "-", ":", ".", ":", ":", "|"][bits] ?? "|" };

/** A logarithmic axis, since most of the fall comes first; a loss of exactly 0 is drawn at the lowest place. */
const smallestLoss = 1e-4;
const height = (loss: number): number => Math.log(Math.max(loss, smallestLoss));

const isDrawable = ({ step, loss }: CurvePoint): boolean => Number.isFinite(step) && Number.isFinite(loss);

/** The mean loss in each column of dots that has any. */
const meanByColumn = (points: readonly CurvePoint[], column: (step: number) => number): [number, number][] => {
  const means: [column: number, loss: number][] = [];
  let sum = 0;
  let count = 0;
  points.forEach((point, i) => {
    sum += point.loss;
    count++;
    const next = points[i + 1];
    if (next !== undefined && column(next.step) === column(point.step)) return;
    means.push([column(point.step), sum / count]);
    sum = 0;
    count = 0;
  });
  return means;
};

/** A grid of dots, seen as characters. */
const createCanvas = (width: number, height: number, cell: Cell) => {
  const bits = new Uint8Array(width * height);
  const dot = (x: number, y: number): void => {
    const at = Math.floor(y / cell.down) * width + Math.floor(x / cell.across);
    bits[at] = (bits[at] ?? 0) | (1 << ((y % cell.down) * cell.across + (x % cell.across)));
  };
  const vertical = (x: number, from: number, to: number): void => {
    for (let y = Math.min(from, to); y <= Math.max(from, to); y++) dot(x, y);
  };
  return {
    /** Connects the points (x rising) without gaps. */
    line(points: readonly (readonly [x: number, y: number])[]): void {
      let [x, y] = points[0] ?? [0, 0];
      if (points.length > 0) dot(x, y);
      for (const [toX, toY] of points.slice(1)) {
        const fromX = x;
        const fromY = y;
        while (x < toX) {
          x++;
          const nextY = Math.round(fromY + ((toY - fromY) * (x - fromX)) / (toX - fromX));
          // Not the dot beside the last one again: lines stay thin.
          vertical(x, y < nextY ? y + 1 : y > nextY ? y - 1 : y, nextY);
          y = nextY;
        }
      }
    },
    character: (column: number, row: number): string | undefined => {
      const found = bits[row * width + column] ?? 0;
      return found === 0 ? undefined : cell.glyph(found);
    },
  };
};

const axisLabel = (loss: number): string => loss.toFixed(loss < 100 ? 2 : 0);

/** `left`, `middle` and `right` in one line of `width`; the middle one only where there is room. */
const spread = (left: string, middle: string, right: string, width: number, middleWidth: number): string => {
  const free = width - left.length - right.length;
  if (free < middleWidth + 4) return left + " ".repeat(Math.max(1, free)) + right;
  const before = Math.min(free - middleWidth - 2, Math.max(2, Math.floor((width - middleWidth) / 2) - left.length));
  return left + " ".repeat(before) + middle + " ".repeat(free - before - middleWidth) + right;
};

/**
 * The loss over the steps as lines of text: training drawn as a line of braille dots (ASCII where there is no
 * Unicode), validation as marks on it. Nothing where no point is finite or there is no room.
 */
export const lossCurve = (
  { train, validation, steps }: LossCurve,
  { width, height: rows }: CurveSize,
  { symbols, colors }: Style,
): string[] => {
  const learned = train.filter(isDrawable);
  const measured = validation.filter(isDrawable);
  const cell = symbols.unicode ? braille : ascii;
  const columnIn = (dots: number) => (step: number) =>
    Math.min(dots - 1, Math.max(0, Math.round((step / Math.max(1, steps)) * (dots - 1))));
  // The axis spans what is drawn, which is means: one lucky batch must not flatten the curve.
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

/** The right edge while a run goes on: it doubles until it spans the plan, so that a young run is not a speck. */
export const shownSteps = (step: number, steps: number): number => {
  for (let halvings = 4; halvings > 0; halvings--) {
    const shown = Math.ceil(steps / 2 ** halvings);
    if (step <= shown) return shown;
  }
  return steps;
};
