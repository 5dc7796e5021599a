/** Computes the loss of a model from its logits alone. The model may be a graph of another program. */
import type { Corpus } from "../data/corpus.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { softmaxSum } from "../pretrained/model/likeliest.ts";
import { type Evaluation, evaluateBy, predictedTokens } from "./evaluate.ts";
import { checkFinite, checkWindow, type Measuring, readCorpus } from "./evaluate-corpus.ts";

/** A model that returns logits in pieces. */
export interface LogitsSource extends Pick<LanguageModel, "tokenizer"> {
  /** Number of tokens in the vocabulary of the model. */
  readonly vocabSize: number;
  /** Maximum number of tokens of a text. */
  readonly contextLength: number;
  /** The logits [count · V] of the tokens from index `from`. The function is called for successive pieces. */
  readonly pieces: (ids: ArrayLike<number>) => AsyncIterable<{ readonly from: number; readonly logits: Float32Array }>;
}

/** Sum of −ln p of each target, in double precision. */
const natsOf = async ({ pieces, vocabSize }: LogitsSource, x: Int32Array, y: Int32Array): Promise<number> => {
  let nats = 0;
  for await (const { from, logits } of pieces(x)) {
    for (let row = 0; row < logits.length / vocabSize; row++) {
      const at = row * vocabSize;
      const { highest, sum } = softmaxSum(logits, at, vocabSize);
      nats += Math.log(sum) - ((logits[at + (y[from + row] as number)] as number) - highest);
    }
  }
  return nats;
};

/**
 * Like `evaluateCorpus` on the held-out end of a text. The windows are the same, but they are computed one at a time.
 * @throws the errors of `evaluateCorpus`.
 */
export const evaluateForm = async (
  form: LogitsSource,
  text: Corpus,
  { contextLength, signal, onProgress }: Pick<Measuring, "contextLength" | "signal" | "onProgress">,
): Promise<Evaluation> => {
  if (contextLength !== undefined) checkWindow(contextLength, form.contextLength);
  const { measured } = readCorpus(form.tokenizer, text, "val", "error");
  const tokens = predictedTokens(measured);
  const result = await evaluateBy(
    ({ x, y }) => natsOf(form, x, y),
    measured,
    signal,
    (done) => onProgress?.(done, tokens),
    { contextLength: contextLength ?? form.contextLength, windows: true },
  );
  checkFinite(result);
  return result;
};
