/** A model with attention heads switched off. */
import { z } from "zod";
import { checkLanguageModel } from "../core/checks/check-arguments.ts";
import { parseConfig } from "../core/checks/config.ts";
import type { Model } from "../models/model.ts";
import { markView } from "../pretrained/model/closed.ts";
import { type LanguageModel, languageModel } from "../pretrained/model/language-model.ts";
import { below } from "./options.ts";
import { modelHint } from "./tokens.ts";

/**
 * An attention head of a model.
 * @experimental
 */
export interface HeadPlace {
  /** From 0 to nLayer − 1. */
  readonly layer: number;
  /** Query head, from 0 to nHead − 1. */
  readonly head: number;
}

const parseHeads = (heads: readonly HeadPlace[], { nLayer, nHead }: Model["config"]): readonly HeadPlace[] => {
  const place = z.strictObject({ layer: below(nLayer), head: below(nHead) });
  const name = (path: readonly string[]): string => `withoutHeads: ${path.join(".")}`;
  return parseConfig(z.strictObject({ heads: z.array(place) }), { heads }, name).heads;
};

/**
 * A view of a model with some attention heads switched off. The outputs of these heads are zero before the layer's
 * projection (as in Michel et al. 2019). To see what the heads do, compare `score`, `evaluate` or `generate` of the
 * view and of the model.
 * @experimental
 * @param lm a model from `loadPretrained` or `languageModel`. The model does not change and must stay open. If the
 * model uses an adapter, the view uses it too.
 * @param heads in any order; an empty list gives a model that computes the same as `lm`. Heads that are off in `lm`
 * stay off.
 * @returns a model that uses the weights of `lm` and has no memory of its own; it cannot be saved. If all heads of a
 * layer are off, attention adds only its bias there.
 * @throws ConfigError for a head that the model lacks.
 */
export const withoutHeads = (lm: LanguageModel, heads: readonly HeadPlace[]): LanguageModel => {
  checkLanguageModel("withoutHeads: model", lm, modelHint);
  const { model, tokenizer, chatTemplate, endTokens } = lm;
  const chosen = parseHeads(heads, model.config);
  const blocks = model.parameters.blocks.map((block, layer) => {
    const { attention } = block;
    const added = chosen.filter((place) => place.layer === layer).map(({ head }) => head);
    if (added.length === 0) return block;
    return { ...block, attention: { ...attention, headsOff: [...new Set([...(attention.headsOff ?? []), ...added])] } };
  });
  const view: Model = { ...model, parameters: { ...model.parameters, blocks }, close: () => {} };
  markView(view, model);
  return languageModel(view, tokenizer, undefined, { chatTemplate, endTokens });
};
