import { safetensorsPieces } from "../io/safetensors.ts";
import type { ReadValues } from "../models/arena.ts";
import type { ModelConfig } from "../models/config.ts";
import { architectureOf, toHuggingFace } from "../models/hugging-face/hugging-face.ts";
import { modelLayout } from "../models/model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { tokenizerConfigJson } from "../tokenizer/tokenizer-json.ts";
import { formatVersion, jsonText } from "./checkpoint-json.ts";
import { generationDefaults } from "./generation-config.ts";

/**
 * The files of a Hugging Face directory, for `loadPretrained` and `transformers`.
 * @param readValues the weights in the layout of `modelLayout`; read one tensor after the other.
 */
export const pretrainedFiles = (
  config: ModelConfig,
  tokenizer: Tokenizer,
  readValues: ReadValues,
): Record<string, string | AsyncIterable<Uint8Array>> => {
  const { vocabSize, endOfText } = tokenizer;
  // `transformers` ends a text there too.
  const end = endOfText === null ? {} : { eos_token_id: endOfText };
  const tensors = toHuggingFace(config, modelLayout(config, vocabSize), readValues);
  const { temperature, topK, maxNewTokens } = generationDefaults;
  return {
    "config.json": jsonText({
      ...architectureOf(config).configJson(vocabSize),
      ...end,
      foretoken: { formatVersion, model: config },
    }),
    "generation_config.json": jsonText({
      do_sample: true,
      temperature,
      top_k: topK,
      max_new_tokens: maxNewTokens,
      ...end,
    }),
    "model.safetensors": safetensorsPieces(tensors, { format: "pt" }),
    "tokenizer.json": jsonText(tokenizer.toJSON()),
    "tokenizer_config.json": jsonText(tokenizerConfigJson(config.contextLength, tokenizer)),
  };
};
