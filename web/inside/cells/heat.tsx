/**
 * Table of cells as a heat map. Shades show the values. The number of a cell appears when the pointer is at the cell.
 */
import { useState } from "preact/hooks";
import { type CellLook, Cells, type CellsProps } from "./cells.tsx";

export interface HeatCell {
  /** Value from 0 to 1. A negative value has another colour. Undefined if the value is unknown. */
  readonly value: number | undefined;
  /** The value in words, for the line below the map and for screen readers. */
  readonly words: string;
  /** CSS class of the cell. */
  readonly className?: string;
}

/** Class and strength for a value. */
export const heatLook = ({ value, className = "" }: Pick<HeatCell, "value" | "className">) => {
  if (value === undefined) return { className: `heat-none ${className}`, strength: 0 };
  return {
    className: `${value < 0 ? "heat-against" : "heat-for"} ${className}`,
    strength: Math.min(1, Math.abs(value)),
  };
};

export interface HeatProps extends Omit<CellsProps, "look" | "kind" | "onPoint"> {
  /** As `Layer 2, token 4`. */
  readonly nameOf: (row: number, column: number) => string;
  readonly cell: (row: number, column: number) => HeatCell;
  /** Text below the map while the pointer is at no cell. */
  readonly hint: string;
}

export const Heat = ({ nameOf, cell, hint, ...cells }: HeatProps) => {
  const [pointed, setPointed] = useState<{ readonly row: number; readonly column: number } | undefined>(undefined);
  const at = pointed ?? cells.chosen;
  const isThere = at !== undefined && at.row < cells.rows.length && at.column < cells.columns.length;
  const look = (row: number, column: number): CellLook => {
    const one = cell(row, column);
    return {
      ...heatLook(one),
      before: `${nameOf(row, column)}:`,
      text: <span class="hidden-text">{one.words}</span>,
    };
  };
  return (
    <div class="heat">
      <Cells {...cells} kind="heat-cells" look={look} onPoint={(row, column) => setPointed({ row, column })} />
      <p class="heat-reading num">
        {isThere ? (
          <>
            <b>{nameOf(at.row, at.column)}</b>: {cell(at.row, at.column).words}
          </>
        ) : (
          <span class="soft">{hint}</span>
        )}
      </p>
    </div>
  );
};

export interface HeatKeyProps {
  readonly label: string;
  /** Meanings of the left end, the middle (no shade) and the right end of the strip. */
  readonly labels: readonly [string, string, string];
  /** Strengths of the shades at the two ends, from 0 to 1. Default: full strength. */
  readonly ends?: readonly [number, number];
  /** Meaning of a grey cell. Undefined if no cell is grey. */
  readonly none?: string | undefined;
}

/** Legend of a heat map: one strip. Labels below the strip explain its ends and its middle. */
export const HeatKey = ({ label, labels, ends: [low, high] = [1, 1], none }: HeatKeyProps) => (
  <div class="shade-key heat-key">
    <ul
      class="heat-scale num"
      aria-label={label}
      style={{ "--low": `${Math.round(100 * low)}%`, "--high": `${Math.round(100 * high)}%` }}
    >
      {labels.map((text, n) => (
        <li key={n}>{text}</li>
      ))}
    </ul>
    {none !== undefined && (
      <span class="heat-key-none">
        <span class="heat-sample none" aria-hidden="true" /> {none}
      </span>
    )}
  </div>
);
