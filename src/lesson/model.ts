import { presets } from "../config/presets.ts";
import { freshModel, type Model } from "../models/model.ts";
import { type LanguageModel, languageModel } from "../pretrained/model/language-model.ts";
import type { LessonInput } from "./input.ts";

/** Creates a model of the preset `book` with initial weights, untrained. The caller closes it. */
export const untrainedModel = ({ backend, tokenizer, seed }: LessonInput): LanguageModel & { readonly model: Model } =>
  languageModel(freshModel(backend, { ...presets.book.model, dropout: 0 }, tokenizer.vocabSize, seed), tokenizer);

/** Probabilities from `logits` [V]: softmax in double precision. */
export const softmax = (logits: Float32Array): Float64Array => {
  const highest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
};

/** Loss in nats: −ln of the probability that `logits` [V] give to `target`. */
export const lossOf = (logits: Float32Array, target: number): number => -Math.log(softmax(logits)[target] ?? 0);
