import { ConfigError } from "../core/errors/errors.ts";
import { likeliestOf, probabilityAt, softmaxSum } from "../pretrained/model/likeliest.ts";
import type { ScoredToken } from "../pretrained/model/score.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { PromptEvent } from "./events.ts";

/** Takes the logits after each token of a prompt but the last, and tells the log-probabilities of its tokens. */
export interface PromptScorer {
  read(logits: Float32Array): void;
  /** Once all were read. */
  event(): PromptEvent;
}

/** @param most candidates to name at each place; 0: none. */
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
      if (Number.isNaN(logProb)) {
        throw new ConfigError({
          where: "generate: scorePrompt",
          must: "the model's logits must be numbers, to have probabilities",
          got: "others",
          hint: "a model whose training went well",
        });
      }
      const candidates = likeliest === null ? {} : { candidates: likeliest(logits, 0, sum) };
      tokens.push({ id, text: stream.push(id), logProb, ...candidates });
    },
    event: () => ({ v: 1, type: "prompt", tokens }),
  };
};
