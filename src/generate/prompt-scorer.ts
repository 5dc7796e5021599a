import { logitsFault } from "../core/errors/logits-fault.ts";
import { likeliestOf, probabilityAt, softmaxSum } from "../pretrained/model/likeliest.ts";
import type { ScoredToken } from "../pretrained/model/score.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { PromptEvent } from "./events.ts";

/** Computes the log-probabilities of a prompt's tokens, from the logits after each prompt token except the last. */
export interface PromptScorer {
  read(logits: Float32Array): void;
  /** Call it after all logits. */
  event(): PromptEvent;
}

/** @param most number of candidates to report at each position. 0 means no candidates. */
export const promptScorer = (tokenizer: Tokenizer, ids: ArrayLike<number>, most: number): PromptScorer => {
  const stream = textStream(tokenizer, { showSpecialTokens: true });
  const likeliest = most === 0 ? null : likeliestOf(tokenizer, most);
  const first = ids[0] as number;
  const tokens: ScoredToken[] = [{ id: first, text: stream.push(first), logProb: null }];
  return {
    read(logits) {
      const id = ids[tokens.length] as number;
      const sum = softmaxSum(logits, 0, logits.length);
      const { logProb } = probabilityAt(logits, id, sum);
      if (Number.isNaN(logProb)) throw logitsFault("generate: scorePrompt", logProb);
      const candidates = likeliest === null ? {} : { candidates: likeliest(logits, 0, sum) };
      tokens.push({ id, text: stream.push(id), logProb, ...candidates });
    },
    event: () => ({ v: 1, type: "prompt", tokens }),
  };
};
