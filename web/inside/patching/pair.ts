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

export interface Wanted {
  readonly model: string;
  readonly text: string;
  /** Whether the clean text must be the whole text. */
  readonly isWhole: boolean;
}

const proposed = signal<Proposed>({ key: "", pair: null });

/**
 * A run's own sample gives a better pair than its first characters, so the search may use any part of the sample, unless
 * the clean text must be the whole text.
 */
const find = async ({ model, text, isWhole }: Wanted, abort: AbortSignal): Promise<PairAnswer["pair"]> => {
  const sample = isWhole ? undefined : await sampleOf(model);
  const isOwn = sample !== undefined && beginningOf(sample) === text;
  const body = isOwn ? { model, text: sample } : { model, text, whole: true };
  const answer = await postJson<PairAnswer>(`${api}/inside/pair`, body, abort);
  return answer.kind === "ok" ? answer.value.pair : null;
};

/**
 * The proposed pair for a model and a text.
 * @param isWanted whether to look for a pair.
 */
export const usePair = (wanted: Wanted, isWanted: boolean) => {
  const key = JSON.stringify(wanted);
  const isKnown = proposed.value.key === key;
  useEffect(() => {
    if (!isWanted || isKnown) return;
    const controller = new AbortController();
    waiting.value++;
    void find(wanted, controller.signal)
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
