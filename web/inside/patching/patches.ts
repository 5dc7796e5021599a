/** Tries patches one after the other. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading, PatchRequest } from "../../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../../src/serve/studio/protocol.ts";
import { api, postJson } from "../../server/request.ts";
import { placeKey } from "./restored.ts";

/** Number of places per request when all places are tried. */
const atOnce = 16;

export interface PatchTableProps {
  readonly request: Omit<PatchRequest, "places">;
  readonly base: PatchAnswer;
}

/** Patches tried so far, by place. */
export const usePatches = ({ request, base }: PatchTableProps, part: PatchPart) => {
  const found = useSignal<ReadonlyMap<string, PatchReading>>(new Map());
  const failure = useSignal<Failure | undefined>(undefined);
  const underWay = useSignal(false);
  const abort = useRef<AbortController | null>(null);
  const key = JSON.stringify([request, part]);
  useEffect(() => {
    found.value = new Map();
    failure.value = undefined;
    underWay.value = false;
    return () => abort.current?.abort();
  }, [key]);
  const stop = () => {
    abort.current?.abort();
    underWay.value = false;
  };
  const ask = async (all: readonly { readonly layer: number; readonly position: number }[]) => {
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
      const next = new Map(found.value);
      for (const [n, place] of places.entries()) {
        const reading = answer.value.patched[n];
        if (reading !== undefined) next.set(placeKey(place), reading);
      }
      found.value = next;
    }
    underWay.value = false;
  };
  return { found: found.value, failure: failure.value, isUnderWay: underWay.value, ask, stop };
};
