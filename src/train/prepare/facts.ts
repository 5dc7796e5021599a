/** What the checkpoints of a run say of its model besides its shape. */
import { replacedTemplate } from "../../pretrained/adapter/text.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { InitialWeights } from "../../runs/begin/initial-weights.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A model as it is before its data is read. */
export interface ModelBefore {
  /** null: it is trained on the data. */
  readonly tokenizer: Tokenizer | null;
  /** The weights that the run begins with; null: others. */
  readonly initial: InitialWeights | null;
  /** The chat template and end tokens of those weights, or of the last checkpoint; null: there is neither. */
  readonly facts: KeptFacts | null;
  /** A chat template to take instead of the model's own. */
  readonly chatTemplate?: string | undefined;
}

/**
 * The facts before the data is read.
 * @param first of the weights that the run began with, or of its last checkpoint; null: it has drawn its weights.
 * @param template a chat template to take instead of theirs.
 */
export const factsOf = (tokenizer: Tokenizer, first: KeptFacts | null, template?: string): KeptFacts => {
  const { endOfText } = tokenizer;
  const { chatTemplate, endTokens } = first ?? { chatTemplate: null, endTokens: endOfText === null ? [] : [endOfText] };
  if (template === undefined) return { ...first, chatTemplate, endTokens };
  return { ...first, chatTemplate: replacedTemplate(tokenizer, chatTemplate, template), endTokens };
};

/** The same with the tokens that end an answer, where answers were learned. */
export const withTurnEnds = (facts: KeptFacts, turnEnds: readonly number[] = []): KeptFacts => ({
  ...facts,
  endTokens: [...new Set([...facts.endTokens, ...turnEnds])],
});
