import type { ProductDType } from "../../core/tensors/dtype.ts";
import { safetensorsPieces } from "../../io/safetensors.ts";
import { architectureOf } from "../../models/architectures/architecture-of.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { toHuggingFace } from "../../models/hugging-face/hugging-face.ts";
import { modelLayout } from "../../models/model.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { tokenizerConfigJson } from "../../tokenizer/tokenizer-json.ts";
import { generationDefaults } from "../model/generation-config.ts";
import type { ChatTemplate } from "../model/language-model.ts";
import type { Pretrained, WeightSource } from "../pretrained.ts";
import { formatVersion, jsonText } from "./checkpoint-json.ts";

/** Facts about a model, in addition to its configuration and tokenizer. */
export interface SavedFacts {
  /** Number of rows of the embedding. Default: the tokenizer's vocabulary size. */
  readonly vocabSize?: number;
  /**
   * All tokens that end generation, including the tokenizer's end-of-text token. Default: the tokenizer's end-of-text
   * token, if there is such a token.
   */
  readonly endTokens?: readonly number[];
  /** Chat template. Default: none. */
  readonly chatTemplate?: ChatTemplate | null;
  /** Number format of the weights file. Default: float32. */
  readonly dtype?: ProductDType;
  /**
   * Whether training started from a model with fused layers in its files. If true, the adapters in the run's files have
   * fused layers too. Default: false.
   */
  readonly fused?: boolean;
}

/** Facts that a run's checkpoints keep if training started from another model, or if the run used conversations. */
export interface KeptFacts extends SavedFacts {
  readonly endTokens: readonly number[];
  readonly chatTemplate: ChatTemplate | null;
}

/**
 * Facts that training copies from the initial model to the trained model. The trained model's embedding has exactly one
 * row per token. So end tokens with higher ids are left out.
 */
export const keptFacts = ({
  tokenizer,
  endTokens,
  chatTemplate,
  fused = false,
}: Pick<Pretrained, "tokenizer" | "endTokens" | "chatTemplate"> & Partial<Pick<WeightSource, "fused">>): KeptFacts => ({
  chatTemplate,
  ...(fused && { fused }),
  endTokens: endTokens.filter((id) => id < tokenizer.vocabSize),
});

/** The fields of `tokenizer_config.json` for a chat template. */
const templateJson = (chat: ChatTemplate | null): object => {
  if (chat === null) return {};
  const { template, bosToken, eosToken } = chat;
  return {
    chat_template: template,
    ...(bosToken === "" ? {} : { bos_token: bosToken }),
    ...(eosToken === "" ? {} : { eos_token: eosToken }),
  };
};

/**
 * The files of a Hugging Face directory, for `loadPretrained` and `transformers`.
 * @param readValues reads weights in the layout of `modelLayout`, one tensor at a time.
 * @param facts further facts about the model that was loaded, or that training started from.
 */
export const pretrainedFiles = (
  config: ModelConfig,
  tokenizer: Tokenizer,
  readValues: ReadValues,
  facts: SavedFacts = {},
): Record<string, string | AsyncIterable<Uint8Array>> => {
  const { endOfText, beginOfText, specialTokens } = tokenizer;
  const { vocabSize = tokenizer.vocabSize, endTokens = endOfText === null ? [] : [endOfText], chatTemplate } = facts;
  const { dtype = "float32" } = facts;
  // `transformers` reads these fields, so it also stops at these tokens.
  const end = endTokens.length === 0 ? {} : { eos_token_id: endTokens.length === 1 ? endTokens[0] : endTokens };
  const tensors = toHuggingFace(config, modelLayout(config, vocabSize), readValues);
  const { temperature, topK, maxNewTokens } = generationDefaults;
  return {
    "config.json": jsonText({
      ...architectureOf(config).huggingFace.configJson(config, vocabSize),
      dtype,
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
    "model.safetensors": safetensorsPieces(tensors, { format: "pt" }, dtype === "float32" ? "F32" : "BF16"),
    ...(tokenizer.kind === "none"
      ? {}
      : {
          "tokenizer.json": jsonText(tokenizer.toJSON()),
          "tokenizer_config.json": jsonText({
            ...(tokenizerConfigJson(config.contextLength, {
              endOfText: endTokens[0] ?? endOfText,
              beginOfText,
              specialTokens,
            }) as object),
            ...templateJson(chatTemplate ?? null),
          }),
        }),
  };
};
