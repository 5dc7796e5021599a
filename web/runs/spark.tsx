/**
 * Small curve of a run's validation losses. The losses are requested when the row comes into view, but only if the
 * request is fast.
 */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { RunSeries, RunSummary } from "../../src/serve/studio/protocol.ts";
import { getJson, runPath } from "../server/request.ts";

/** Maximum number of steps of a run with a curve. For a longer run, the server would need seconds to read the metrics. */
const mostSteps = 200_000;
/**
 * Number of steps in the request, which is the minimum of the server. Only evaluations are drawn, and the server sends
 * all evaluations.
 */
const askedSteps = 1000;
const width = 84;
const height = 22;

interface Curve {
  readonly step: number;
  readonly values: readonly number[];
}

const curves = signal<ReadonlyMap<string, Curve>>(new Map());
let queue: Promise<void> = Promise.resolve();
const asked = new Set<string>();

const ask = (name: string, step: number): void => {
  const key = `${name} ${step}`;
  if (asked.has(key)) return;
  asked.add(key);
  // Requests run one after the other, so that other requests of the page are not delayed.
  queue = queue.then(async () => {
    const answer = await getJson<RunSeries>(`${runPath(name)}/series?most=${askedSteps}`);
    if (answer.kind === "ok")
      curves.value = new Map(curves.value).set(name, { step, values: answer.value.evals.valLoss });
  });
};

const pathOf = (values: readonly number[]): string => {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const across = (i: number) => 2 + ((width - 4) * i) / Math.max(1, values.length - 1);
  const up = (value: number) => height - 3 - ((height - 6) * (value - low)) / (high - low || 1);
  return values.map((value, i) => `${i === 0 ? "M" : "L"}${across(i).toFixed(1)} ${up(value).toFixed(1)}`).join("");
};

export const Spark = ({ run: { name, step, state } }: { readonly run: RunSummary }) => {
  const box = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null || step > mostSteps || step === 0) return;
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting !== true || element.clientWidth === 0) return;
      observer.disconnect();
      ask(name, state === "unfinished" ? 0 : step);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [name, state, step]);
  const values = curves.value.get(name)?.values ?? [];
  return (
    <span class="spark" ref={box}>
      {values.length > 1 && (
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
          <path d={pathOf(values)} />
        </svg>
      )}
    </span>
  );
};
