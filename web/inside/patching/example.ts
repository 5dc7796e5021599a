/** Finds a corrupted text with the same number of tokens as the clean text. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TokensAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { api, postJson } from "../../server/request.ts";
import { waiting } from "../state.ts";
import { corruptedExamples, firstThatFits } from "../texts.ts";

/**
 * Example for a clean text with `tokens` tokens.
 * @param isWanted whether to look for an example.
 */
export const useExample = (model: string, text: string, tokens: number, isWanted: boolean) => {
  const found = useSignal<{ readonly key: string; readonly example: string | undefined }>({
    key: "",
    example: undefined,
  });
  const key = JSON.stringify([model, text, tokens]);
  const isKnown = found.value.key === key;
  useEffect(() => {
    if (!isWanted || isKnown) return;
    const controller = new AbortController();
    const { signal } = controller;
    const tokensOf = async (one: string): Promise<number | undefined> => {
      signal.throwIfAborted();
      const answer = await postJson<TokensAnswer>(`${api}/inside/text`, { model, text: one }, signal);
      return answer.kind === "ok" && answer.value.left === 0 ? answer.value.tokens.length : undefined;
    };
    waiting.value++;
    void firstThatFits(corruptedExamples(text), tokens, tokensOf)
      .catch(() => undefined)
      .then((example) => {
        if (!signal.aborted) found.value = { key, example };
      })
      .finally(() => {
        waiting.value--;
      });
    return () => controller.abort();
  }, [key, isWanted, isKnown]);
  return { example: isKnown ? found.value.example : undefined, isLooking: isWanted && !isKnown };
};
