import { loadCorpus } from "../data/corpora.node.ts";
import { checkTokenCounts } from "../data/batches.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import { type Evaluation, evaluate as evaluateTokens, measureTokens } from "./evaluate.ts";

export const splitNames = ["val", "train", "all"] as const;
export type SplitName = (typeof splitNames)[number];

export interface EvaluateOptions {
  /** Name of a corpus, a UTF-8 text file, or a folder of them. Default: as for `train`. */
  readonly data?: string | undefined;
  /** In (0, 1): which last part of the text is `val`. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Which part to measure on. Default "val". */
  readonly split?: SplitName | undefined;
  readonly signal?: AbortSignal | undefined;
  /** One line that the user should see, as that another text was taken. */
  readonly onNotice?: (line: string) => void;
}

/**
 * A model's cross-entropy on a text: every token after the first is predicted once, in non-overlapping windows.
 * @throws DataError for text that cannot be used or a character that the tokenizer lacks.
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions = {}): Promise<Evaluation> => {
  const { data, valFraction, split = "val", signal, onNotice } = options;
  const corpus = await loadCorpus(data, { valFraction });
  if (corpus.notice !== undefined) onNotice?.(corpus.notice);
  const text = { val: corpus.val, train: corpus.train, all: corpus.train + corpus.val }[split];
  const ids = lm.tokenizer.encode(text);
  checkTokenCounts({ val: ids.length }, lm.model.config.contextLength);
  return evaluateTokens(lm.model, measureTokens(ids, lm.tokenizer), signal);
};
