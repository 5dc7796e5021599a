import { checkCallback, checkKeys, checkLanguageModel } from "../../core/check-arguments.ts";
import { loadCorpus } from "../../data/corpora.node.ts";
import type { LanguageModel } from "../../pretrained/language-model.ts";
import type { Evaluation } from "./evaluate.ts";
import { checkSplit, evaluateCorpus, type Measuring } from "./evaluate-corpus.ts";

/** Options of `evaluate`. */
export interface EvaluateOptions extends Measuring {
  /** Name of a corpus, a UTF-8 text file, or a folder of them. Default: as for `train`. */
  readonly data?: string | undefined;
  /** Share of the text, at its end, that is `val`: in (0, 1). Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Gets one line for the user, such as that another text is used. A promise is waited for. */
  readonly onNotice?: (line: string) => void;
}

/**
 * A model's cross-entropy on a text: every token after the first is predicted once, in non-overlapping windows.
 * @throws ConfigError for options that do not fit or a loss that is not finite, DataError for text that cannot be
 *   used or a character that the tokenizer lacks.
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions = {}): Promise<Evaluation> => {
  checkLanguageModel("evaluate: model", lm, "its own method, lm.evaluate(await loadCorpus(path))");
  checkKeys("evaluate", options, ["data", "valFraction", "onNotice", "split", "signal", "onProgress"]);
  checkCallback("evaluate: onNotice", options.onNotice);
  const { data, valFraction, onNotice, ...measuring } = options;
  checkSplit(measuring.split, valFraction);
  const corpus = await loadCorpus(data, { valFraction });
  if (corpus.notice !== undefined) await onNotice?.(corpus.notice);
  return evaluateCorpus(lm, corpus, measuring);
};
