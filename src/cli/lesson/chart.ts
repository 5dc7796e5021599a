import type { Piece } from "../../lesson/piece.ts";
import { type CurvePoint, cellFor, createCanvas, isDrawable } from "../display/drawing/canvas.ts";
import { formatCount } from "../display/texts/format.ts";
import type { Style } from "../process/terminal.ts";
import { fitText, widthOf } from "./text.ts";

type Curves = Extract<Piece, { kind: "curves" }>;

/** Default number of lines of the plot. The axis needs two more lines. */
const usualRows = 8;
/** If the plot has fewer columns than this, the names of the curves are below the plot. */
const leastPlot = 30;
const widestName = 30;

/** A name at the right edge, near its curve or level. */
interface Label {
  readonly text: string;
  readonly loss: number;
  readonly row: number;
  /** Index of the curve. Undefined for a level. */
  readonly curve: number | undefined;
}

/**
 * Moves labels that share a row downwards, with lower losses below. Then it moves labels up from the bottom. If there
 * are more labels than rows, the labels of curves stay first.
 */
const placed = (labels: readonly Label[], rows: number): ReadonlyMap<number, Label> => {
  const kept = [...labels].sort((a, b) => Number(a.curve === undefined) - Number(b.curve === undefined)).slice(0, rows);
  const byLoss = kept.sort((a, b) => b.loss - a.loss);
  const places: number[] = [];
  for (const { row } of byLoss) places.push(Math.max(row, (places.at(-1) ?? -1) + 1));
  for (let i = places.length - 1, lowest = rows - 1; i >= 0; i--, lowest--) {
    places[i] = Math.min(places[i] ?? 0, lowest);
  }
  return new Map(byLoss.map((label, i) => [places[i] ?? 0, label]));
};

/**
 * Number of points in each curve. This number does not depend on the width, and is small enough to hide the noise of
 * single batches.
 */
const means = 50;

/** Keeps the first point, where the loss begins to fall. The later points are means: one for each section. */
const smoothed = (points: readonly CurvePoint[], steps: number): readonly CurvePoint[] => {
  const stretches = new Map<number, CurvePoint[]>();
  for (const point of points) {
    const stretch = Math.floor((point.step * means) / Math.max(1, steps));
    stretches.set(stretch, [...(stretches.get(stretch) ?? []), point]);
  }
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  return [
    ...points.slice(0, 1),
    ...[...stretches.values()].map((stretch) => ({
      step: mean(stretch.map(({ step }) => step)),
      loss: mean(stretch.map(({ loss }) => loss)),
    })),
  ];
};

/** Draws curves over the steps. The loss axis begins at 0. Horizontal levels are drawn for comparison. */
export const curveChart = (
  { curves, levels, steps, height: chartRows = usualRows }: Curves,
  width: number,
  style: Style,
): string[] => {
  const { symbols, colors } = style;
  const inks = [colors.cyan, colors.yellow, colors.magenta, colors.green];
  const inkOf = (curve: number): ((text: string) => string) => inks[curve % inks.length] ?? colors.cyan;
  const cell = cellFor(symbols.unicode);
  const drawable = curves.map((curve) => ({ ...curve, points: curve.points.filter(isDrawable) }));
  const losses = [...levels.map(({ loss }) => loss), ...drawable.flatMap(({ points }) => points.map((p) => p.loss))];
  const highest = Math.max(...losses);
  if (losses.length === 0 || highest <= 0) return [];

  const top = Math.ceil(highest);
  const axisWidth = String(top).length;
  const lastY = chartRows * cell.down - 1;
  const y = (loss: number): number => Math.round((1 - Math.min(1, Math.max(0, loss / top))) * lastY);
  const rowOf = (loss: number): number => Math.floor(y(loss) / cell.down);

  const labels: Label[] = [
    ...levels.map(({ name, loss }) => ({
      text: `${name} ${loss.toFixed(2)}`,
      loss,
      row: rowOf(loss),
      curve: undefined,
    })),
    ...drawable.flatMap(({ name, points, measured }, curve) => {
      // A single step shows the loss of one batch. The mean of the last tenth of the steps is more stable.
      const newest = points.slice(measured ? -1 : -Math.max(1, Math.ceil(points.length / 10)));
      const loss = newest.reduce((sum, point) => sum + point.loss, 0) / newest.length;
      return newest.length === 0 ? [] : [{ text: `${name} ${loss.toFixed(2)}`, loss, row: rowOf(loss), curve }];
    }),
  ];
  const nameWidth = Math.min(widestName, Math.max(...labels.map(({ text }) => widthOf(text, style))));
  const beside = width - axisWidth - nameWidth - 4 >= leastPlot;
  const plotWidth = width - axisWidth - 2 - (beside ? nameWidth + 2 : 0);
  if (plotWidth < 10) return [];

  const x = (step: number): number =>
    Math.min(plotWidth * cell.across - 1, Math.round((step / Math.max(1, steps)) * (plotWidth * cell.across - 1)));
  const canvases = drawable.map(({ points, measured }) => {
    const canvas = createCanvas(plotWidth, chartRows, cell);
    canvas.line((measured ? points : smoothed(points, steps)).map(({ step, loss }) => [x(step), y(loss)] as const));
    return canvas;
  });
  const levelRows = new Set(levels.map(({ loss }) => rowOf(loss)));
  const inkLabel = ({ text, curve }: Label, columns: number): string => {
    const fitted = fitText(text, columns, "left", style).trimEnd();
    return curve === undefined ? colors.dim(fitted) : inkOf(curve)(fitted);
  };
  const byRow = placed(labels, chartRows);
  const axis = symbols.unicode
    ? { tick: "┤", side: "│", corner: "└", floor: "─", level: "╌" }
    : { tick: "+", side: "|", corner: "+", floor: "-", level: "~" };

  const lines = Array.from({ length: chartRows }, (_, row) => {
    const tick = row === 0 ? String(top) : row === chartRows - 1 ? "0" : "";
    let plot = "";
    for (let column = 0; column < plotWidth; column++) {
      const curve = canvases.findLastIndex((canvas) => canvas.character(column, row) !== undefined);
      const dots = canvases[curve]?.character(column, row);
      if (dots !== undefined) plot += inkOf(curve)(dots);
      else plot += levelRows.has(row) ? colors.dim(axis.level) : " ";
    }
    const label = byRow.get(row);
    const name = beside && label !== undefined ? `  ${inkLabel(label, nameWidth)}` : "";
    const side = colors.dim(`${tick.padStart(axisWidth)} ${tick === "" ? axis.side : axis.tick}`);
    return `${side}${name === "" ? plot.trimEnd() : plot + name}`;
  });
  const indent = " ".repeat(axisWidth + 1);
  lines.push(colors.dim(indent + axis.corner + axis.floor.repeat(plotWidth)));
  const last = `${formatCount(steps)} steps`;
  lines.push(`${indent} 0${" ".repeat(Math.max(1, plotWidth - 1 - last.length))}${last}`);
  if (!beside) lines.push(...labels.map((label) => `${indent} ${inkLabel(label, Math.max(1, plotWidth))}`));
  return lines;
};
