/** Measures the loss of a text with each head switched off alone, one head after the other. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { InsideShape } from "../../../src/serve/studio/inside/protocol.ts";
import type { ScoreAnswer } from "../../../src/serve/studio/protocol.ts";
import { api, postJson } from "../../server/request.ts";

export const headKey = (layer: number, head: number): string => `${layer} ${head}`;

export interface EachHeadProps {
  readonly model: string;
  readonly text: string;
  readonly shape: InsideShape;
  /** Whether the measurement starts by itself. */
  readonly atOnce: boolean;
}

export const useEachHead = ({ model, text, shape: { nLayer, nHead }, atOnce }: EachHeadProps) => {
  const found = useSignal<ReadonlyMap<string, number>>(new Map());
  /** Mean seconds per head in this measurement. Undefined: no measurement is running. */
  const pace = useSignal<number | undefined>(undefined);
  const abort = useRef<AbortController | null>(null);
  const stop = () => {
    abort.current?.abort();
    pace.value = undefined;
  };
  const measure = async () => {
    stop();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    pace.value = 0;
    const began = performance.now();
    let asked = 0;
    for (let n = 0; n < nLayer * nHead && !signal.aborted; n++) {
      const place = { layer: Math.floor(n / nHead), head: n % nHead };
      const key = headKey(place.layer, place.head);
      if (found.peek().has(key)) continue;
      const body = { model, text, headsOff: [place] };
      const answer = await postJson<ScoreAnswer>(`${api}/score`, body, signal).catch(() => undefined);
      if (signal.aborted || answer?.kind !== "ok") break;
      found.value = new Map(found.peek()).set(key, answer.value.natsPerToken);
      asked++;
      pace.value = (performance.now() - began) / 1000 / asked;
    }
    if (!signal.aborted) pace.value = undefined;
  };
  useEffect(() => {
    found.value = new Map();
    if (atOnce) void measure();
    return stop;
  }, [model, text, atOnce]);
  return { found: found.value, pace: pace.value, isUnderWay: pace.value !== undefined, measure, stop };
};
