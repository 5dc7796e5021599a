/** The text on one line, with arcs from one token to the tokens that it attends to. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { percent } from "../../parts/format.ts";
import { ScrollFrame } from "../cells/scroll-frame.tsx";
import { arcNames, arcOpacity, arcsLayout, arcWidth } from "./arcs-layout.ts";
import { strongestOf } from "./opening.ts";

/** Free pixels to the left and to the right of tokens that are scrolled into view. */
const beside = 24;

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
  const { columns, rows, maps, shape } = answer;
  const own = columns.findIndex(({ from }) => from === rows[row]?.from);
  const names = arcNames(answer);
  const values = maps[0]?.values[row] ?? [];
  const most = strongestOf(values);
  // The border takes 2 pixels.
  const { places, arcs, width, height, isTurned, numbers, shares } = arcsLayout(names, values, own, room - 2);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const middleOf = (column: number): number => places[column]?.middle ?? 0;
    const [at, target, wide] = [middleOf(own), middleOf(most), element.clientWidth];
    const [left, right] = [Math.min(at, target) - beside, Math.max(at, target) + beside];
    const isIn = left >= element.scrollLeft && right <= element.scrollLeft + wide;
    if (isIn) return;
    // The token and its strongest target are in view, if both fit. With the causal mask, all arcs come from the left.
    if (right - left <= wide) element.scrollLeft = (left + right - wide) / 2;
    else element.scrollLeft = shape.isCausal ? at + beside - wide : at - wide / 2;
  }, [row, answer, room, width]);
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
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
          {arcs.map(({ column, value, path }) => (
            <path key={column} class="arc" d={path} stroke-width={arcWidth(value)} stroke-opacity={arcOpacity(value)} />
          ))}
          {places.map((place, column) => {
            const target = rows.findIndex(({ from }) => from === columns[column]?.from);
            const value = values[column];
            const top = place.top + 4;
            const share = shares.find((one) => one.column === column);
            return (
              <g
                key={column}
                class={column === own ? "arc-token own" : value === undefined ? "arc-token masked" : "arc-token"}
                data-row={target}
              >
                <rect x={place.left} y={place.top} width={place.width} height={place.height} rx={3} />
                {isTurned ? (
                  <text
                    class="turned"
                    x={place.middle + 4}
                    y={top}
                    text-anchor="end"
                    transform={`rotate(-90 ${place.middle + 4} ${top})`}
                  >
                    {place.name}
                  </text>
                ) : (
                  <text x={place.middle} y={place.top + 13} text-anchor="middle">
                    {place.name}
                  </text>
                )}
                {share !== undefined && (
                  <text class="arc-share" x={place.middle} y={numbers + 4} text-anchor="middle">
                    {share.words}
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
