/** Rank of the final prediction at each stage. The ranks show how the prediction forms. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { LensPosition, LensReading } from "../../../src/inside/lens.ts";
import type { Candidate } from "../../../src/pretrained/model/likeliest.ts";
import type { InsideShape, LensAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { count, percent } from "../../parts/format.ts";
import { visible } from "../../tokens/surprise.ts";
import { useAnswer } from "../state.ts";
import type { Viewed } from "../viewed.ts";
import { rankLines } from "./lens-rows.ts";

const height = 150;
const left = 54;
const right = 10;
const top = 8;
const bottom = 22;

export interface Ranks {
  /** The final prediction at the position. */
  readonly final: Candidate;
  /** Readings of all stages. In each reading, `next` is the final prediction. */
  readonly readings: readonly LensReading[];
  readonly isWaiting: boolean;
}

/**
 * Ranks of the final prediction at a position. `ranks` is undefined while the first ranks are loading, or if the model
 * cannot give ranks.
 */
export const useRanks = (
  { model, text, all: { shape } }: Viewed,
  position: LensPosition | undefined,
): { readonly ranks: Ranks | undefined; readonly isWaiting: boolean } => {
  const at = position?.position ?? 0;
  const final = position?.readings.at(-1)?.top[0];
  // The context must have space for one more token. Without a causal mask, the added token would change the earlier
  // positions.
  const canAsk = shape.isCausal && at + 1 < shape.contextLength && final !== undefined;
  const body = canAsk ? { model, text, from: at, to: at + 1, top: 1, next: final.id } : undefined;
  const { value, isWaiting } = useAnswer<LensAnswer>("inside/lens", body);
  const readings = value?.positions[0]?.readings ?? [];
  const isThere = readings.length > 1 && value?.positions[0]?.position === at;
  return { ranks: isThere && final !== undefined ? { final, readings, isWaiting } : undefined, isWaiting };
};

export interface RiseProps {
  readonly ranks: Ranks;
  readonly shape: InsideShape;
  readonly stage: number;
}

export const Rise = ({ ranks: { final, readings, isWaiting }, shape, stage }: RiseProps) => {
  const box = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const ranks = readings.map(({ next }) => next?.rank ?? shape.vocabSize);
  const most = Math.log10(Math.max(2, shape.vocabSize));
  const x = (n: number): number => left + (Math.max(0, width - left - right) * n) / (readings.length - 1);
  const y = (rank: number): number => top + ((height - top - bottom) * Math.log10(rank)) / most;
  const chosen = readings[stage];
  return (
    <section ref={box} class="rise" aria-busy={isWaiting}>
      <h3>
        Rank of <span class="mono">{visible(final.text)}</span>{" "}
        <span class="soft">of {count(shape.vocabSize)} tokens</span>
      </h3>
      <svg width={width} height={height} aria-hidden="true">
        {rankLines(shape.vocabSize).map((rank) => (
          <g key={rank}>
            <line class="rise-line" x1={left} x2={width - right} y1={y(rank)} y2={y(rank)} />
            <text x={left - 8} y={y(rank) + 4} text-anchor="end">
              {count(rank)}
            </text>
          </g>
        ))}
        <text x={left} y={height - 5}>
          embedding
        </text>
        <text x={width - right} y={height - 5} text-anchor="end">
          layer {shape.nLayer}
        </text>
        <line class="rise-at" x1={x(stage)} x2={x(stage)} y1={top - 4} y2={height - bottom} />
        <polyline points={ranks.map((rank, n) => `${x(n).toFixed(1)},${y(rank).toFixed(1)}`).join(" ")} />
        <circle cx={x(stage)} cy={y(ranks[stage] ?? 1)} r={4} />
      </svg>
      {chosen?.next != null && (
        <p class="num about">
          Rank {count(chosen.next.rank)} here, with {percent(chosen.next.probability)}.
        </p>
      )}
    </section>
  );
};
