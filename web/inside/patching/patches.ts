/** Tries patches one after the other. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading, PatchRequest } from "../../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../../src/serve/studio/protocol.ts";
import { api, postJson } from "../../server/request.ts";
import { type Place, placeKey } from "./restored.ts";

/** Number of places per request when all places are tried. */
const atOnce = 16;

export interface PatchTableProps {
  /** The request to which `base` is the answer. */
  readonly request: PatchRequest;
  readonly base: PatchAnswer;
}

/** Results by place, with the keys of `placeKey`. */
export type Found = ReadonlyMap<string, PatchReading>;

/** Patches tried so far. @param opening places to try without a click. */
export const usePatches = ({ request, base }: PatchTableProps, part: PatchPart, opening: readonly Place[]) => {
  const found = useSignal<Found>(new Map());
  const failure = useSignal<Failure | undefined>(undefined);
  const underWay = useSignal(false);
  const abort = useRef<AbortController | null>(null);
  const key = JSON.stringify([request, part]);
  const stop = () => {
    abort.current?.abort();
    underWay.value = false;
  };
  const ask = async (all: readonly Place[]) => {
    stop();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    underWay.value = true;
    for (let first = 0; first < all.length && !signal.aborted; first += atOnce) {
      const places = all.slice(first, first + atOnce).map((place) => ({ ...place, part }));
      const body = { ...request, answer: base.answer.id, places };
      const answer = await postJson<PatchAnswer>(`${api}/inside/patch`, body, signal).catch(() => undefined);
      if (signal.aborted || answer === undefined) return;
      if (answer.kind === "failed") {
        failure.value = answer.failure;
        break;
      }
      const next = new Map(found.peek());
      for (const [n, place] of places.entries()) {
        const reading = answer.value.patched[n];
        if (reading !== undefined) next.set(placeKey(place), reading);
      }
      found.value = next;
    }
    underWay.value = false;
  };
  useEffect(() => {
    found.value = new Map();
    failure.value = undefined;
    void ask(opening);
    return () => abort.current?.abort();
  }, [key]);
  /** Tries one place, unless others are being tried. */
  const askOne = (place: Place) => {
    if (!underWay.peek()) void ask([place]);
  };
  return { found: found.value, failure: failure.value, isUnderWay: underWay.value, ask, askOne, stop };
};
