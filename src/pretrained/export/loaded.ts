/** A model that is written, loaded with its adapter in the weights: for formats that are made from a model in memory. */
import { openReference } from "../../backend/implementations/reference/reference.ts";
import type { ReadValues } from "../../models/arena.ts";
import { createModel } from "../../models/model.ts";
import type { ModelFacts } from "../gguf/write/contents.ts";
import { type LanguageModel, languageModel } from "../model/language-model.ts";

/** Weights that are copied at a time. */
const pieceLength = 2 ** 22;

/**
 * A model on the reference backend, in float32: its weights are read, and nothing is computed. The backend is closed with it.
 * @param readWeights in the layout of `modelLayout`, as `ModelSource.readWeights` gives it.
 */
export const loadedModel = async (
  { config, vocabSize, tokenizer, chatTemplate, endTokens }: ModelFacts,
  readWeights: ReadValues,
): Promise<LanguageModel> => {
  const backend = await openReference();
  try {
    const model = createModel(backend, config, vocabSize);
    for (let offset = 0; offset < model.layout.length; offset += pieceLength) {
      const values = await readWeights(offset, Math.min(pieceLength, model.layout.length - offset));
      model.writeWeights(values, offset);
    }
    return languageModel(model, tokenizer, () => backend.close(), { chatTemplate, endTokens });
  } catch (error) {
    await backend.close();
    throw error;
  }
};
