/** The JSON files of a checkpoint, as transformers.js needs them. */
import { isRecord } from "../../core/checks/is-record.ts";
import { jsonText } from "../files/checkpoint-json.ts";
import { generationDefaults } from "../model/generation-config.ts";
import type { OnnxDType } from "./transformer.ts";

/** Of each element type its file, and transformers.js' name of it. */
export const forms = {
  float32: { file: "model.onnx", name: "fp32" },
  int8: { file: "model_quantized.onnx", name: "q8" },
} as const satisfies Record<OnnxDType, { readonly file: string; readonly name: string }>;

/** `config.json` with what transformers.js reads besides: the form that is there, and how many files of tensors each has. */
export const configText = (
  json: string,
  dtypes: readonly OnnxDType[],
  beside: Readonly<Record<string, number>>,
): string => {
  const [only] = dtypes;
  const own = {
    // Pages take q8 and Node takes fp32 where nothing is said; one form alone is for both.
    ...(dtypes.length === 1 && only !== undefined && { dtype: forms[only].name }),
    ...(Object.keys(beside).length > 0 && { use_external_data_format: beside }),
  };
  if (Object.keys(own).length === 0) return json;
  return jsonText({ ...(JSON.parse(json) as object), "transformers.js_config": own });
};

/** `generation_config.json`. A graph has no positions behind the context, so a text ends there where the context is short. */
export const generationText = (json: string, contextLength: number): string => {
  if (contextLength >= 2 * generationDefaults.maxNewTokens) return json;
  const { max_new_tokens: _, ...others } = JSON.parse(json) as Record<string, unknown>;
  return jsonText({ ...others, max_length: contextLength });
};

/** Each number of a text by itself: for transformers.js `Digits` are those of ASCII alone, for `tokenizers` all numbers. */
const eachNumber = { type: "Split", pattern: { Regex: "\\p{N}" }, behavior: "Isolated", invert: false };

/** `tokenizer.json`, written so that transformers.js and `tokenizers` mean the same by it. */
export const tokenizerText = (json: string): string => {
  const tokenizer = JSON.parse(json) as Record<string, unknown>;
  const { pre_tokenizer: pieces } = tokenizer;
  const plain = (one: unknown): unknown =>
    isRecord(one) && one.type === "Digits" && one.individual_digits === true ? eachNumber : one;
  if (!isRecord(pieces) || !Array.isArray(pieces.pretokenizers)) return json;
  return jsonText({ ...tokenizer, pre_tokenizer: { ...pieces, pretokenizers: pieces.pretokenizers.map(plain) } });
};
