import { checkTokenCounts } from "../data/batches.ts";
import { loadCorpus } from "../data/corpora.node.ts";
import type { Corpus } from "../data/corpus.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import { type Evaluation, evaluate as evaluateTokens, measureTokens } from "./evaluate.ts";

export const splitNames = ["val", "train", "all"] as const;
export type SplitName = (typeof splitNames)[number];

interface Measuring {
  /** Which part to measure on. Default "val". */
  readonly split?: SplitName | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told after each batch how many of all the tokens have been predicted. */
  readonly onProgress?: ((predicted: number, tokens: number) => void) | undefined;
}

export interface EvaluateOptions extends Measuring {
  /** Name of a corpus, a UTF-8 text file, or a folder of them. Default: as for `train`. */
  readonly data?: string | undefined;
  /** In (0, 1): which last part of the text is `val`. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** One line that the user should see, as that another text was taken. */
  readonly onNotice?: (line: string) => void;
}

/** As `evaluate`, on a text that is loaded already. */
export const evaluateCorpus = async (
  lm: LanguageModel,
  { name, train, val }: Pick<Corpus, "name" | "train" | "val">,
  { split = "val", signal, onProgress }: Measuring = {},
): Promise<Evaluation> => {
  const text = { val, train, all: train + val }[split];
  const ids = lm.tokenizer.encode(text, split === "all" ? name : `${name}, split ${split}`);
  checkTokenCounts({ val: ids.length }, lm.model.config.contextLength);
  const tokens = ids.length - 1;
  return evaluateTokens(lm.model, measureTokens(ids, lm.tokenizer), signal, (done) => onProgress?.(done, tokens));
};

/**
 * A model's cross-entropy on a text: every token after the first is predicted once, in non-overlapping windows.
 * @throws DataError for text that cannot be used or a character that the tokenizer lacks.
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions = {}): Promise<Evaluation> => {
  const { data, valFraction, onNotice, ...measuring } = options;
  const corpus = await loadCorpus(data, { valFraction });
  if (corpus.notice !== undefined) onNotice?.(corpus.notice);
  return evaluateCorpus(lm, corpus, measuring);
};
