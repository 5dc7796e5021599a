/** Writes a model's configuration as metadata fields of a GGUF file. ../read-model.ts reads them. */
import { ConfigError } from "../../../core/errors/errors.ts";
import { type TypedValue, text } from "../../../io/gguf/metadata.ts";
import type { GgufForm } from "../../../models/architectures/architecture.ts";
import { architectureOf } from "../../../models/architectures/architecture-of.ts";
import { ownRopeValues } from "../../../models/architectures/common/gguf-rope.ts";
import { sizeValues } from "../../../models/architectures/common/gguf-sizes.ts";
import { ownKeys } from "../../../models/architectures/common/gguf-values.ts";
import type { ModelConfig } from "../../../models/config.ts";

/** Architecture of the model in GGUF files. @throws ConfigError if llama.cpp does not support the model. */
export const ggufFormOf = (config: ModelConfig, where: string): GgufForm => {
  const { name, gguf } = architectureOf(config, where);
  if (gguf === null) {
    const { window } = config;
    if (window === undefined) {
      throw new ConfigError({
        where,
        must: "must be an architecture that llama.cpp supports, to write a GGUF file",
        got: name,
      });
    }
    throw new ConfigError({
      where: `${where}: window`,
      must: `must be absent to write a GGUF file: llama.cpp does not support windows for ${name}`,
      got: `a window of ${window.size}`,
    });
  }
  const lack = gguf.lacks(config);
  if (lack !== null) {
    const { field, must, got, hint } = lack;
    throw new ConfigError({ where: `${where}: ${field}`, must, got, ...(hint === undefined ? {} : { hint }) });
  }
  return gguf;
};

/** Tokens that llama.cpp requires if a model's name contains Phi-3. llama.cpp refuses a file without these tokens. */
const tokensOfPhi3 = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

/**
 * The field with a model's display name. The field is left out if llama.cpp would mistake the model for Phi-3 because
 * of its name.
 */
export const nameField = (name: string, tokens: readonly string[]): Readonly<Record<string, TypedValue>> =>
  /phi-?3/iu.test(name) && !tokensOfPhi3.every((token) => tokens.includes(token)) ? {} : { "general.name": text(name) };

/**
 * Fields that only Foretoken reads. Without these fields, other programs compute the same results or nearly the same
 * results.
 */
const ownFields = (config: ModelConfig): Readonly<Record<string, TypedValue>> => ({
  ...(config.mlp.kind === "gelu" && config.mlp.approximate === "none" ? { [ownKeys.gelu]: text("none") } : {}),
  ...ownRopeValues(config),
});

/** All fields about the model itself. @throws ConfigError if llama.cpp does not support the model. */
export const modelFields = (
  config: ModelConfig,
  vocabSize: number,
  where: string,
): Readonly<Record<string, TypedValue>> => {
  const { name, values } = ggufFormOf(config, where);
  const own = { ...sizeValues(config, vocabSize), ...values(config) };
  return {
    "general.architecture": text(name),
    "general.type": text("model"),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${name}.${key}`, value])),
    ...ownFields(config),
  };
};
