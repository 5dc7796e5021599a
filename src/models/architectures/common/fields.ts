/** Fields of `config.json`, with the checks that every architecture makes. */
import { z } from "zod";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import type { ModelConfig } from "../../config.ts";

/** Kinds of fields. A field of another program may be null where it is absent. */
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
 * Fails for fields that change the result and have no part in a model here.
 * @param fields each with its values that change nothing.
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
      harmless.length === 0 ? "must be absent, since such models are not supported" : `must be ${harmless[0]}`;
    fail(where, field, must, value);
  }
};

/** Names of GELU in its tanh form; `gelu` is the form with erf. */
export const tanhGelus: readonly string[] = ["gelu_new", "gelu_pytorch_tanh"];

/** What every `config.json` says. */
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
