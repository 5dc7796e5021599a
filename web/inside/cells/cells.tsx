/** Table of cells to choose from. The Tab key moves to the table, and the arrow keys move between its cells. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { surpriseLevels } from "../../tokens/surprise.ts";
import { keepRevealed } from "./reveal.ts";
import { ScrollFrame } from "./scroll-frame.tsx";
import { shareLevel } from "./share.ts";

export interface CellLook {
  readonly text: string | VNode;
  /** Words before and after the text, for screen readers. */
  readonly before?: string;
  readonly after?: string;
  readonly className?: string;
  /** Darkness of the shade, from 0 to 1. Default: the CSS class determines it. */
  readonly strength?: number;
}

export interface CellsProps {
  readonly label: string;
  /** Heading of the row names. */
  readonly corner: string;
  readonly rows: readonly string[];
  readonly columns: readonly ComponentChildren[];
  /** CSS class of the table. */
  readonly kind?: string;
  readonly look: (row: number, column: number) => CellLook;
  readonly chosen?: { readonly row: number; readonly column: number };
  /** Maximum width of a column in rem. Default: the content determines the width. */
  readonly columnWidth?: number;
  /** Column that is scrolled into view while no cell is chosen. */
  readonly firstColumn?: number;
  readonly onChoose: (row: number, column: number) => void;
  /** Called when the pointer or the focus moves to a cell. */
  readonly onPoint?: (row: number, column: number) => void;
}

const moves: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -1e6],
  End: [0, 1e6],
  PageUp: [-1e6, 0],
  PageDown: [1e6, 0],
};

const percents = (strength: number): string => `${(100 * Math.max(0, Math.min(1, strength))).toFixed(1)}%`;

export const Cells = (props: CellsProps) => {
  const { label, corner, rows, columns, kind = "", look, chosen, columnWidth, firstColumn, onChoose, onPoint } = props;
  const box = useRef<HTMLDivElement>(null);
  const table = useRef<HTMLTableElement>(null);
  const [focused, setFocused] = useState({ row: 0, column: 0 });
  const inside = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value));
  const stop = { row: inside(focused.row, rows.length), column: inside(focused.column, columns.length) };
  const shown = chosen === undefined ? `[data-column="${firstColumn ?? 0}"]` : ".cell.chosen";
  useEffect(() => keepRevealed(box.current, shown), [shown, chosen?.row, chosen?.column, rows.length, columns.length]);
  const onKeyDown = (event: KeyboardEvent) => {
    const by = moves[event.key];
    if (by === undefined) return;
    const row = inside(stop.row + by[0], rows.length);
    const column = inside(stop.column + by[1], columns.length);
    table.current?.querySelector<HTMLElement>(`[data-cell="${row} ${column}"]`)?.focus();
    event.preventDefault();
  };
  return (
    <ScrollFrame box={box}>
      <div ref={box} class="cells-box">
        <table
          ref={table}
          class={`cells ${kind}`}
          aria-label={label}
          onKeyDown={onKeyDown}
          {...(columnWidth === undefined ? {} : { style: { "--column": `${columnWidth}rem` } })}
        >
          <thead>
            <tr>
              <th scope="col">{corner}</th>
              {columns.map((name, column) => (
                <th key={column} scope="col" data-column={column}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((name, row) => (
              <tr key={row}>
                <th scope="row">{name}</th>
                {columns.map((_, column) => {
                  const { text, before = "", after = "", className = "", strength } = look(row, column);
                  const isChosen = chosen?.row === row && chosen.column === column;
                  return (
                    <td key={column}>
                      <button
                        type="button"
                        class={`cell ${className}${isChosen ? " chosen" : ""}`}
                        data-cell={`${row} ${column}`}
                        tabIndex={row === stop.row && column === stop.column ? 0 : -1}
                        aria-current={isChosen}
                        {...(strength === undefined ? {} : { style: { "--strength": percents(strength) } })}
                        onFocus={() => {
                          setFocused({ row, column });
                          onPoint?.(row, column);
                        }}
                        onPointerEnter={() => onPoint?.(row, column)}
                        onClick={() => onChoose(row, column)}
                      >
                        {before !== "" && <span class="hidden-text">{before} </span>}
                        {text}
                        {after !== "" && <span class="hidden-text"> {after}</span>}
                      </button>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </ScrollFrame>
  );
};

/** CSS class for a probability. Higher probabilities are darker. */
export const shareClass = (probability: number): string => `share-${shareLevel(probability)}`;

const levels = [0, 1, 2, 3, 4, 5] as const;

/**
 * Legend of the shades of `shareClass`: two strips in two colours above one scale. The numbers mark the borders between
 * shades.
 */
export const ShadeKey = ({
  label,
  own,
  other,
}: {
  readonly label: string;
  readonly own: string;
  readonly other: string;
}) => (
  <div class="shade-key strips-key">
    <span>{label}</span>
    <span class="hidden-text">
      {`, from light to dark: ${surpriseLevels
        .map(({ label: range }) => range)
        .reverse()
        .join(", ")}. Green: ${own}; grey: ${other}.`}
    </span>
    <span class="shade-strips num" aria-hidden="true">
      {[own, other].map((name) => (
        <>
          <span class={name === own ? "shade-strip final" : "shade-strip"}>
            {levels.map((share) => (
              <span key={share} class={`shade-sample share-${share}`} />
            ))}
          </span>
          <span>{name}</span>
        </>
      ))}
      <span class="shade-joints">
        {["1", "5", "20", "50", "90"].map((number) => (
          <span key={number}>{number}</span>
        ))}
      </span>
    </span>
  </div>
);
