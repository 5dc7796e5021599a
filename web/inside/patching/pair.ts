/** Texts for patching that the page proposes until the reader chooses own texts. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PairAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { api, postJson } from "../../server/request.ts";
import { beginningOf, sampleOf } from "../first-text.ts";
import { waiting } from "../state.ts";

interface Proposed {
  readonly key: string;
  readonly pair: PairAnswer["pair"];
}

const proposed = signal<Proposed>({ key: "", pair: null });

/** A run's own sample gives a better pair than its first characters, so the search may use any part of the sample. */
const find = async (model: string, text: string, abort: AbortSignal): Promise<PairAnswer["pair"]> => {
  const sample = await sampleOf(model);
  const isOwn = sample !== undefined && beginningOf(sample) === text;
  const body = isOwn ? { model, text: sample } : { model, text, whole: true };
  const answer = await postJson<PairAnswer>(`${api}/inside/pair`, body, abort);
  return answer.kind === "ok" ? answer.value.pair : null;
};

/**
 * The proposed pair for a model and a text.
 * @param isWanted whether to look for a pair.
 */
export const usePair = (model: string, text: string, isWanted: boolean) => {
  const key = JSON.stringify([model, text]);
  const isKnown = proposed.value.key === key;
  useEffect(() => {
    if (!isWanted || isKnown) return;
    const controller = new AbortController();
    waiting.value++;
    void find(model, text, controller.signal)
      .catch(() => null)
      .then((pair) => {
        if (!controller.signal.aborted) proposed.value = { key, pair };
      })
      .finally(() => {
        waiting.value--;
      });
    return () => controller.abort();
  }, [key, isWanted, isKnown]);
  return { pair: isKnown ? proposed.value.pair : null, isLooking: isWanted && !isKnown };
};
