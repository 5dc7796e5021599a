/** Changes the JSON files of a checkpoint for transformers.js. */
import { isRecord } from "../../core/checks/is-record.ts";
import { jsonText } from "../files/checkpoint-json.ts";
import { generationDefaults } from "../model/generation-config.ts";
import type { OnnxDType } from "./transformer.ts";

/** File name of each number format, and the name of the format in transformers.js. */
export const forms = {
  float32: { file: "model.onnx", name: "fp32" },
  int8: { file: "model_quantized.onnx", name: "q8" },
} as const satisfies Record<OnnxDType, { readonly file: string; readonly name: string }>;

/**
 * `config.json` with fields for transformers.js: the available number format, and the number of external data files of
 * each graph.
 */
export const configText = (
  json: string,
  dtypes: readonly OnnxDType[],
  beside: Readonly<Record<string, number>>,
): string => {
  const [only] = dtypes;
  const own = {
    // By default, pages load q8 and Node loads fp32. If there is only one format, the default must be this format.
    ...(dtypes.length === 1 && only !== undefined && { dtype: forms[only].name }),
    ...(Object.keys(beside).length > 0 && { use_external_data_format: beside }),
  };
  if (Object.keys(own).length === 0) return json;
  return jsonText({ ...(JSON.parse(json) as object), "transformers.js_config": own });
};

/**
 * `generation_config.json`. A graph cannot continue a text beyond the context length. So for a model with a short
 * context, the context length is written as `max_length`.
 */
export const generationText = (json: string, contextLength: number): string => {
  if (contextLength >= 2 * generationDefaults.maxNewTokens) return json;
  const { max_new_tokens: _, ...others } = JSON.parse(json) as Record<string, unknown>;
  return jsonText({ ...others, max_length: contextLength });
};

/**
 * Splits off each numeric character. This rule replaces `Digits`, because `Digits` means all numeric characters in
 * `tokenizers` but only ASCII digits in transformers.js.
 */
const eachNumber = { type: "Split", pattern: { Regex: "\\p{N}" }, behavior: "Isolated", invert: false };

/** `tokenizer.json` with changes, so that transformers.js gives the same tokens as `tokenizers`. */
export const tokenizerText = (json: string): string => {
  const tokenizer = JSON.parse(json) as Record<string, unknown>;
  const { pre_tokenizer: pieces } = tokenizer;
  const plain = (one: unknown): unknown =>
    isRecord(one) && one.type === "Digits" && one.individual_digits === true ? eachNumber : one;
  if (!isRecord(pieces) || !Array.isArray(pieces.pretokenizers)) return json;
  return jsonText({ ...tokenizer, pre_tokenizer: { ...pieces, pretokenizers: pieces.pretokenizers.map(plain) } });
};
