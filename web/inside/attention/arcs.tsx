/** The text on one line, with arcs from one token to the tokens that it attends to. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { percent } from "../../parts/format.ts";
import { ScrollFrame } from "../cells/scroll-frame.tsx";
import { clipped, isOne, tokenAt } from "../names.ts";
import { strongestOf } from "./opening.ts";

const character = 8.5;
/** Minimum distance between tokens, in pixels. */
const gap = 10;
const widest = 56;
const tall = 110;
/** Free pixels to the right of a token that is scrolled into view. */
const beside = 24;
/** Minimum attention for an arc. Weaker arcs would be too thin to distinguish. */
const least = 0.02;

export interface ArcsProps {
  readonly answer: AttentionAnswer;
  readonly row: number;
  readonly onRow: (row: number) => void;
}

export const Arcs = ({ answer, row, onRow }: ArcsProps) => {
  const box = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useEffect(() => {
    // Measures the visible part, because the box itself has the width of the whole text.
    const around = box.current?.closest(".inside");
    if (around === undefined || around === null) return;
    const observer = new ResizeObserver(() => setRoom(around.clientWidth));
    observer.observe(around);
    return () => observer.disconnect();
  }, []);
  const { tokens, columns, rows, maps } = answer;
  const own = columns.findIndex(({ from }) => from === rows[row]?.from);
  const names = columns.map((span) =>
    isOne(span) ? clipped(tokenAt(tokens, span.from), 14) : `${span.from + 1}–${span.to}`,
  );
  const widths = names.map((name) => Math.max(1, [...name].length) * character);
  const taken = widths.reduce((sum, wide) => sum + wide, 0);
  // The border takes 2 pixels.
  const between = Math.max(gap, Math.min(widest, (room - 2 - taken) / (names.length + 1)));
  let reached = between;
  const places = widths.map((wide) => {
    const middle = reached + wide / 2;
    reached += wide + between;
    return { middle, wide };
  });
  const values = maps[0]?.values[row] ?? [];
  const middleOf = (column: number): number => places[column]?.middle ?? 0;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const [at, shown] = [middleOf(own), element.clientWidth];
    // With the causal mask, all arcs come from the left, so the token is placed at the right.
    if (at < element.scrollLeft || at + beside > element.scrollLeft + shown)
      element.scrollLeft = answer.shape.isCausal ? at + beside - shown : at - shown / 2;
  }, [row, answer, room, reached]);
  const inside = (to: number): number => Math.max(0, Math.min(rows.length - 1, to));
  const moves: Readonly<Record<string, number>> = {
    ArrowLeft: row - 1,
    ArrowRight: row + 1,
    Home: 0,
    End: rows.length - 1,
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = moves[event.key];
    if (to === undefined) return;
    onRow(inside(to));
    event.preventDefault();
  };
  const furthest = Math.max(
    1,
    ...values.map((value, column) => (value < least ? 0 : Math.abs(middleOf(own) - middleOf(column)))),
  );
  const most = strongestOf(values);
  return (
    <ScrollFrame box={box}>
      <div
        ref={box}
        class="arcs"
        role="slider"
        tabIndex={0}
        aria-label="Token that the arcs show"
        aria-valuemin={1}
        aria-valuemax={rows.length}
        aria-valuenow={row + 1}
        aria-valuetext={`${names[own] ?? ""}, ${row + 1} of ${rows.length}: most to ${names[most] ?? ""}, ${percent(values[most] ?? 0)}`}
        onKeyDown={onKeyDown}
        onClick={(event) => {
          const token = event.target instanceof Element ? event.target.closest<SVGElement>("[data-row]") : null;
          const to = Number(token?.dataset.row ?? -1);
          if (to >= 0) onRow(to);
        }}
      >
        <svg width={reached} height={tall + 34} viewBox={`0 0 ${reached} ${tall + 34}`} aria-hidden="true">
          {values.map((value, column) => {
            if (value < least) return null;
            const [a, b] = [middleOf(column), middleOf(own)];
            // Attention to the token itself is a loop above the token.
            const rise = a === b ? 26 : 14 + (tall - 24) * (Math.abs(b - a) / furthest) ** 0.6;
            const [left, right] = a === b ? [a - 14, a + 14] : [a, b];
            return (
              <path
                key={column}
                class="arc"
                d={`M${a} ${tall} C${left} ${tall - rise * 1.25} ${right} ${tall - rise * 1.25} ${b} ${tall}`}
                stroke-width={1 + 7 * value}
                stroke-opacity={0.25 + 0.75 * Math.sqrt(value)}
              />
            );
          })}
          {names.map((name, column) => {
            const { middle, wide } = places[column] ?? { middle: 0, wide: 0 };
            const target = rows.findIndex(({ from }) => from === columns[column]?.from);
            const value = values[column];
            return (
              <g
                key={column}
                class={column === own ? "arc-token own" : value === undefined ? "arc-token masked" : "arc-token"}
                data-row={target}
              >
                <rect x={middle - wide / 2 - 3} y={tall + 2} width={wide + 6} height={18} rx={3} />
                <text x={middle} y={tall + 15} text-anchor="middle">
                  {name}
                </text>
                {value !== undefined && value >= 0.1 && (
                  <text class="arc-share" x={middle} y={tall + 31} text-anchor="middle">
                    {Math.round(value * 100)}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
    </ScrollFrame>
  );
};
