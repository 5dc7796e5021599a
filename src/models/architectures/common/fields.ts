/** The fields of `config.json` that every architecture has, and the checks that every architecture needs. */
import { z } from "zod";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import type { ModelConfig } from "../../config.ts";

/** Types of fields. Other programs may write null instead of omitting a field. */
export const count = z.int().positive();
export const optional = <T extends z.ZodType>(schema: T) => schema.nullish();
export const flag = z.boolean().nullish();
export const number = z.number().nullish();
export const text = z.string().nullish();

/** @throws CheckpointError naming the field. */
export const fail = (where: string, field: string, must: string, got: unknown): never => {
  throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(got) });
};

/**
 * Throws if a field changes the result in a way that Foretoken's models do not support.
 * @param fields for each field, the values that do not change the result.
 */
export const checkRefused = (
  json: object,
  fields: Readonly<Record<string, readonly unknown[]>>,
  where: string,
): void => {
  for (const [field, harmless] of Object.entries(fields)) {
    const value: unknown = Reflect.get(json, field);
    if (value === undefined || value === null || harmless.includes(value)) continue;
    const must =
      harmless.length === 0 ? "must be absent: models with this field are not supported" : `must be ${harmless[0]}`;
    fail(where, field, must, value);
  }
};

/** Names that mean the tanh form of GELU. The name `gelu` means the form with erf. */
export const tanhGelus: readonly string[] = ["gelu_new", "gelu_pytorch_tanh"];

/** Fields that every `config.json` has. */
export const commonJson = (className: string, modelType: string, config: ModelConfig, vocabSize: number) => ({
  architectures: [className],
  model_type: modelType,
  vocab_size: vocabSize,
  initializer_range: config.initStd,
  tie_word_embeddings: config.tieEmbeddings,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
  dtype: "float32",
});
