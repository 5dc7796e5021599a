/** Loads a model with its adapter merged, for export formats that need the model in memory. */
import { openReference } from "../../backend/implementations/reference/reference.ts";
import type { ReadValues } from "../../models/arena.ts";
import { createModel } from "../../models/model.ts";
import type { ModelFacts } from "../gguf/write/contents.ts";
import { type LanguageModel, languageModel } from "../model/language-model.ts";

/** Number of weights that are copied at once. */
const pieceLength = 2 ** 22;

/**
 * Creates a float32 model on the reference backend. The export only reads the model's weights and computes nothing.
 * Closing the model also closes the backend.
 * @param readWeights reads weights in the layout of `modelLayout`, as returned by `ModelSource.readWeights`.
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
