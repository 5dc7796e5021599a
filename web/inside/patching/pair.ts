/** Texts for patching that the page proposes until the reader chooses own texts. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PairAnswer, PairRequest } from "../../../src/serve/studio/inside/protocol.ts";
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

/** A shorter text has a map that fits on a screen, so a part of it would be no gain. */
const leastForPart = 100;

/**
 * A run's own sample gives a better pair than its first characters, so the search may use any part of the sample. For a
 * long text, the search may use a part of it if no change of one token changes its last prediction. The clean text is
 * the whole text if this is required.
 */
const find = async ({ model, text, isWhole }: Wanted, abort: AbortSignal): Promise<PairAnswer["pair"]> => {
  const ask = async (body: PairRequest): Promise<PairAnswer["pair"]> => {
    const answer = await postJson<PairAnswer>(`${api}/inside/pair`, body, abort);
    return answer.kind === "ok" ? answer.value.pair : null;
  };
  const sample = isWhole ? undefined : await sampleOf(model);
  if (sample !== undefined && beginningOf(sample) === text) return ask({ model, text: sample });
  const pair = await ask({ model, text, whole: true });
  return pair !== null || isWhole || text.length < leastForPart ? pair : ask({ model, text });
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
