/** Facts about a model that a run's checkpoints keep, in addition to its shape. */
import { replacedTemplate } from "../../pretrained/adapter/text.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { InitialWeights } from "../../runs/begin/initial-weights.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** What is known about the model before its data is read. */
export interface ModelBefore {
  /** null if the tokenizer will be trained on the data. */
  readonly tokenizer: Tokenizer | null;
  /** The weights that a new run starts from; null for random weights, or for the weights of a checkpoint. */
  readonly initial: InitialWeights | null;
  /** Chat template and end tokens, from the initial weights or from the last checkpoint; null if there are none. */
  readonly facts: KeptFacts | null;
  /** A chat template that replaces the model's own. */
  readonly chatTemplate?: string | undefined;
}

/**
 * The facts before the data is read.
 * @param first facts of the initial weights, or of the last checkpoint; null if the weights were drawn at random.
 * @param template a chat template that replaces the one in `first`.
 */
export const factsOf = (tokenizer: Tokenizer, first: KeptFacts | null, template?: string): KeptFacts => {
  const { endOfText } = tokenizer;
  const { chatTemplate, endTokens } = first ?? { chatTemplate: null, endTokens: endOfText === null ? [] : [endOfText] };
  if (template === undefined) return { ...first, chatTemplate, endTokens };
  return { ...first, chatTemplate: replacedTemplate(tokenizer, chatTemplate, template), endTokens };
};

/** Adds the tokens that end an answer, for a run that learns answers. */
export const withTurnEnds = (facts: KeptFacts, turnEnds: readonly number[] = []): KeptFacts => ({
  ...facts,
  endTokens: [...new Set([...facts.endTokens, ...turnEnds])],
});
