/** Draws attention as a picture. A darker cell has more attention. Masked cells are hatched. */
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { strengthOf } from "./strength.ts";

export type AttentionValues = AttentionAnswer["maps"][number]["values"];

export interface MapColors {
  readonly ground: string;
  readonly shade: string;
  readonly masked: string;
  readonly hatch: string;
  readonly ink: string;
  readonly soft: string;
}

export const mapColors = (): MapColors => {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ground: of("--raised"),
    shade: of("--shade"),
    masked: of("--sunk"),
    hatch: of("--edge"),
    ink: of("--ink"),
    soft: of("--soft"),
  };
};

/** Position of rows and columns in a picture. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Draws stripes over masked cells, `distance` pixels apart. */
const hatch = (context: CanvasRenderingContext2D, frame: Frame, distance: number, color: string): void => {
  const { left, top, width, height } = frame;
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = -height; at < width; at += distance) {
    context.moveTo(left + at, top);
    context.lineTo(left + at + height, top + height);
  }
  context.stroke();
};

export const paintMap = (
  context: CanvasRenderingContext2D,
  frame: Frame,
  values: AttentionValues,
  columns: number,
  colors: MapColors,
): void => {
  const { left, top, width, height } = frame;
  const rows = values.length;
  // Cells begin at whole pixels, so there are no gaps between them.
  const ratio = context.getTransform().a;
  const snapped = (at: number): number => Math.round(at * ratio) / ratio;
  const x = (column: number): number => snapped(left + (width * column) / columns);
  const y = (row: number): number => snapped(top + (height * row) / rows);
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fillStyle = colors.masked;
  context.fillRect(left, top, width, height);
  hatch(context, frame, Math.max(4, Math.min(8, height / 12)), colors.hatch);
  for (const [row, cells] of values.entries()) {
    const tall = y(row + 1) - y(row);
    context.globalAlpha = 1;
    context.fillStyle = colors.ground;
    context.fillRect(x(0), y(row), x(cells.length) - x(0), tall);
    context.fillStyle = colors.shade;
    for (const [column, value] of cells.entries()) {
      const strength = strengthOf(value);
      if (strength < 0.02) continue;
      context.globalAlpha = strength;
      context.fillRect(x(column), y(row), x(column + 1) - x(column), tall);
    }
  }
  context.restore();
};

/** Outlines a row of cells or a single cell. */
export const outline = (
  context: CanvasRenderingContext2D,
  { left, top, width, height }: Frame,
  grid: { readonly rows: number; readonly columns: number },
  cell: { readonly row: number; readonly column: number; readonly until: number },
  color: string,
): void => {
  const x = left + (width * cell.column) / grid.columns;
  const y = top + (height * cell.row) / grid.rows;
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.strokeRect(x, y, (width * (cell.until - cell.column)) / grid.columns, height / grid.rows);
};

/** Sets the size of a canvas in device pixels. */
export const sized = (
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | undefined => {
  const ratio = Math.min(3, devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d") ?? undefined;
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
};
