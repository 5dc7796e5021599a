/** The attention of one head as a matrix that is read by pointer or by keys. */
import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionAnswer } from "../../src/serve/studio/inside/protocol.ts";
import { percent } from "../parts/format.ts";
import { theme } from "../shell/theme.ts";
import { clipped, spanName, spanWords } from "./names.ts";
import { type Frame, isOne, mapColors, outline, paintMap, sized } from "./paint.ts";

export interface Cell {
  readonly row: number;
  readonly column: number;
}

const largest = 640;
/** Cells that are smaller have no names beside them. */
const leastNamed = 11;

const frameOf = (width: number, { rows, columns }: AttentionAnswer): Frame & { readonly isNamed: boolean } => {
  const isNamed = (Math.min(width, largest) - 80) / columns.length >= leastNamed;
  const margin = isNamed ? 84 : 34;
  const size = Math.min(width, largest) - margin - 1;
  return { left: margin, top: margin, width: size, height: (size * rows.length) / columns.length, isNamed };
};

/** Names of rows and columns: each of them, or, where there is no room, some numbers. */
const paintNames = (
  context: CanvasRenderingContext2D,
  { left, top, width, height, isNamed }: ReturnType<typeof frameOf>,
  { rows, columns, tokens }: AttentionAnswer,
  color: string,
): void => {
  context.fillStyle = color;
  context.font = "12px ui-monospace, Menlo, Consolas, monospace";
  context.textBaseline = "middle";
  const [wide, tall] = [width / columns.length, height / rows.length];
  const every = isNamed ? 1 : Math.ceil(40 / wide);
  const nameOf = (span: (typeof rows)[number]): string =>
    !isNamed ? String(span.from + 1) : isOne(span) ? clipped(spanName(tokens, span)) : spanName(tokens, span);
  context.textAlign = "right";
  for (const [r, span] of rows.entries())
    if (r % every === 0) context.fillText(nameOf(span), left - 5, top + tall * (r + 0.5), left - 6);
  for (const [c, span] of columns.entries()) {
    if (c % every !== 0) continue;
    context.save();
    context.translate(left + wide * (c + 0.5), top - 5);
    context.rotate(Math.PI / 2);
    context.textAlign = "right";
    context.fillText(nameOf(span), 0, 0, top - 6);
    context.restore();
  }
};

/** What a cell says, in words. */
export const readingOf = (
  answer: AttentionAnswer,
  values: readonly (readonly number[])[],
  { row, column }: Cell,
): string => {
  const { rows, columns, tokens } = answer;
  const [from, to] = [rows[row], columns[column]];
  if (from === undefined || to === undefined) return "";
  const value = values[row]?.[column];
  if (value === undefined)
    return `${spanWords(tokens, to)} comes after ${spanWords(tokens, from)}: it is masked, and gets nothing`;
  return `${spanWords(tokens, from)} attends to ${spanWords(tokens, to)} with ${percent(value)}`;
};

const moves: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
};

export interface AttentionMapProps {
  readonly answer: AttentionAnswer;
  readonly cell: Signal<Cell>;
  readonly isWaiting: boolean;
}

export const AttentionMap = ({ answer, cell, isWaiting }: AttentionMapProps) => {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [map] = answer.maps;
  const { rows, columns } = answer;
  const { row, column } = cell.value;
  const colorsOf = theme.value;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current === null || map === undefined || width === 0) return;
    const frame = frameOf(width, answer);
    const context = sized(canvas.current, frame.left + frame.width + 1, frame.top + frame.height + 1);
    if (context === undefined) return;
    const colors = mapColors();
    const grid = { rows: rows.length, columns: columns.length };
    paintMap(context, frame, map.values, columns.length, colors);
    paintNames(context, frame, answer, colors.soft);
    outline(context, frame, grid, { row, column: 0, until: columns.length }, colors.soft);
    outline(context, frame, grid, { row, column, until: column + 1 }, colors.ink);
  }, [answer, width, row, column, colorsOf]);
  if (map === undefined) return null;

  const cellAt = (event: PointerEvent): Cell | undefined => {
    const frame = frameOf(width, answer);
    const at = canvas.current?.getBoundingClientRect();
    if (at === undefined) return undefined;
    const found = {
      row: Math.floor(((event.clientY - at.top - frame.top) / frame.height) * rows.length),
      column: Math.floor(((event.clientX - at.left - frame.left) / frame.width) * columns.length),
    };
    const isIn = found.row >= 0 && found.column >= 0 && found.row < rows.length && found.column < columns.length;
    return isIn ? found : undefined;
  };
  const point = (event: PointerEvent) => {
    const found = cellAt(event);
    if (found !== undefined && (found.row !== row || found.column !== column)) cell.value = found;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = moves[event.key];
    const inside = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value));
    if (by !== undefined)
      cell.value = { row: inside(row + by[0], rows.length), column: inside(column + by[1], columns.length) };
    else if (event.key === "Home") cell.value = { row, column: 0 };
    else if (event.key === "End")
      cell.value = { row, column: inside((map.values[row]?.length ?? 1) - 1, columns.length) };
    else return;
    event.preventDefault();
  };
  return (
    <figure class="attention-map" aria-busy={isWaiting}>
      <figcaption>
        <b>
          Layer {map.layer + 1}, head {map.head + 1}
        </b>{" "}
        <span class="soft">rows attend to columns</span>
      </figcaption>
      <div
        ref={box}
        class="map-box"
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys read the cells of a picture, in two directions
        tabIndex={0}
        aria-label={`Attention of layer ${map.layer + 1}, head ${map.head + 1}: arrow keys move from cell to cell`}
        aria-describedby="map-reading"
        onKeyDown={onKeyDown}
        onPointerMove={(event) => {
          if (event.pointerType === "mouse") point(event);
        }}
        onPointerDown={point}
      >
        <canvas ref={canvas} />
      </div>
      <p id="map-reading" class="map-reading num" role="status">
        {readingOf(answer, map.values, cell.value)}
      </p>
    </figure>
  );
};
