/** The configuration of a model as fields of a GGUF file; ../read-model.ts reads them. */
import { ConfigError } from "../../../core/errors/errors.ts";
import { type TypedValue, text } from "../../../io/gguf/metadata.ts";
import type { GgufForm } from "../../../models/architectures/architecture.ts";
import { architectureOf } from "../../../models/architectures/architecture-of.ts";
import { ownRopeValues } from "../../../models/architectures/common/gguf-rope.ts";
import { sizeValues } from "../../../models/architectures/common/gguf-sizes.ts";
import { ownKeys } from "../../../models/architectures/common/gguf-values.ts";
import type { ModelConfig } from "../../../models/config.ts";

/** The form of the model in GGUF files. @throws ConfigError for a model that llama.cpp does not compute. */
export const ggufFormOf = (config: ModelConfig, where: string): GgufForm => {
  const { name, gguf } = architectureOf(config, where);
  if (gguf === null) {
    const { window } = config;
    if (window === undefined) {
      throw new ConfigError({ where, must: "must be a model that llama.cpp computes, for a GGUF file", got: name });
    }
    throw new ConfigError({
      where: `${where}: window`,
      must: `must be left out for a GGUF file: llama.cpp computes no window for ${name}`,
      got: `one of ${window.size}`,
    });
  }
  const lack = gguf.lacks(config);
  if (lack !== null) {
    const { field, must, got, hint } = lack;
    throw new ConfigError({ where: `${where}: ${field}`, must, got, ...(hint === undefined ? {} : { hint }) });
  }
  return gguf;
};

/** Tokens that llama.cpp looks for where a model's name has Phi-3 in it; it does not open a file that lacks one. */
const tokensOfPhi3 = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

/** The field with a model's name, for people; none where llama.cpp would take the model for another by it. */
export const nameField = (name: string, tokens: readonly string[]): Readonly<Record<string, TypedValue>> =>
  /phi-?3/iu.test(name) && !tokensOfPhi3.every((token) => tokens.includes(token)) ? {} : { "general.name": text(name) };

/** Fields that this program alone reads: others compute the same without them, or nearly. */
const ownFields = (config: ModelConfig): Readonly<Record<string, TypedValue>> => ({
  ...(config.mlp.kind === "gelu" && config.mlp.approximate === "none" ? { [ownKeys.gelu]: text("none") } : {}),
  ...ownRopeValues(config),
});

/** All fields about the model itself. @throws ConfigError for a model that llama.cpp does not compute. */
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
