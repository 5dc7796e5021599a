/** Attention of one head as a matrix, read with the pointer or the keys. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionAnswer, Span } from "../../../src/serve/studio/inside/protocol.ts";
import { percent } from "../../parts/format.ts";
import { theme } from "../../shell/theme.ts";
import { clipped, isOne, spanName, spanWords, tokenAt } from "../names.ts";
import { type Frame, mapColors, outline, paintMap, sized } from "./paint.ts";

export interface Cell {
  readonly row: number;
  readonly column: number;
}

const largest = 640;
/**
 * Names of tokens are shown if a cell has at least this size, in pixels. With smaller cells, the numbers of some tokens
 * are shown.
 */
const leastNamed = 11;
const letter = 6.7;

interface Named extends Frame {
  /** Names next to each row and above each column. Null: there is too little space for names. */
  readonly names: { readonly rows: readonly string[]; readonly columns: readonly string[] } | null;
  readonly isTurned: boolean;
}

const frameOf = (width: number, { rows, columns, tokens }: AttentionAnswer): Named => {
  const nameOf = (span: Span): string => (isOne(span) ? clipped(tokenAt(tokens, span.from)) : spanName(tokens, span));
  const names = { rows: rows.map(nameOf), columns: columns.map(nameOf) };
  const longest = letter * Math.max(...names.columns.map((name) => [...name].length));
  const whole = Math.min(width, largest) - 1;
  const wide = (whole - longest - 12) / columns.length;
  const isNamed = wide >= leastNamed;
  const isTurned = isNamed && longest > wide - 3;
  const left = isNamed ? longest + 10 : 32;
  const top = isNamed ? (isTurned ? longest + 10 : 18) : 18;
  const size = whole - left;
  const height = (size * rows.length) / columns.length;
  return { left, top, width: size, height, names: isNamed ? names : null, isTurned };
};

/** Draws the names of rows and columns, or the numbers of some tokens if there is too little space. */
const paintNames = (
  context: CanvasRenderingContext2D,
  { left, top, width, height, names, isTurned }: Named,
  { rows, columns }: AttentionAnswer,
  color: string,
): void => {
  context.fillStyle = color;
  context.font = "11px ui-monospace, Menlo, Consolas, monospace";
  context.textBaseline = "middle";
  const [wide, tall] = [width / columns.length, height / rows.length];
  const every = names === null ? Math.ceil(36 / wide) : 1;
  context.textAlign = "right";
  for (const [r, { from }] of rows.entries())
    if (r % every === 0) context.fillText(names?.rows[r] ?? String(from + 1), left - 5, top + tall * (r + 0.5));
  context.textAlign = isTurned ? "left" : "center";
  for (const [c, { from }] of columns.entries()) {
    if (c % every !== 0) continue;
    context.save();
    context.translate(left + wide * (c + 0.5), isTurned ? top - 5 : top - 9);
    if (isTurned) context.rotate(-Math.PI / 2);
    context.fillText(names?.columns[c] ?? String(from + 1), 0, 0);
    context.restore();
  }
};

/** Value of a cell in words. */
export const readingOf = (
  answer: AttentionAnswer,
  values: readonly (readonly number[])[],
  { row, column }: Cell,
): string => {
  const { rows, columns, tokens } = answer;
  const [from, to] = [rows[row], columns[column]];
  if (from === undefined || to === undefined) return "";
  const value = values[row]?.[column];
  if (value === undefined) return `From ${spanWords(tokens, from)} to ${spanWords(tokens, to)}: masked (a later token)`;
  return `From ${spanWords(tokens, from)} to ${spanWords(tokens, to)}: ${percent(value)}`;
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
  readonly cell: Cell;
  readonly isWaiting: boolean;
  /** Buttons that save the map. */
  readonly save: VNode;
  /** Called when the pointer or the keys move to a cell. */
  readonly onCell: (cell: Cell) => void;
}

export const AttentionMap = ({ answer, cell, isWaiting, save, onCell }: AttentionMapProps) => {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [map] = answer.maps;
  const { rows, columns } = answer;
  const { row, column } = cell;
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
    if (found !== undefined && (found.row !== row || found.column !== column)) onCell(found);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = moves[event.key];
    const inside = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value));
    if (by !== undefined)
      onCell({ row: inside(row + by[0], rows.length), column: inside(column + by[1], columns.length) });
    else if (event.key === "Home") onCell({ row, column: 0 });
    else if (event.key === "End") onCell({ row, column: inside((map.values[row]?.length ?? 1) - 1, columns.length) });
    else return;
    event.preventDefault();
  };
  return (
    <figure class="attention-map" aria-busy={isWaiting}>
      <figcaption class="picture-head">
        <span>
          <b>
            Layer {map.layer + 1}, head {map.head + 1}
          </b>{" "}
          <span class="soft">rows attend to columns</span>
        </span>
        {save}
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
        {readingOf(answer, map.values, cell)}
      </p>
    </figure>
  );
};
