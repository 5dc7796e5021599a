/** The configuration of a model as fields of a GGUF file; ../architectures.ts and ../rope.ts read them. */
import { ConfigError } from "../../../core/errors/errors.ts";
import type { LazyTensor } from "../../../core/tensors/named-tensor.ts";
import { f32, type TypedValue, text, u32 } from "../../../io/gguf/metadata.ts";
import { type ModelConfig, type RopeConfig, rotaryDimOf } from "../../../models/config.ts";
import type { Architecture } from "../../../models/hugging-face/architecture.ts";
import { architectureOf } from "../../../models/hugging-face/hugging-face.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import { mlpLayers } from "../../../nn/mlp.ts";
import type { Kind } from "../architectures.ts";
import { ownKeys } from "../own-keys.ts";
import { frequencyFactors, llama3Factors } from "../rope.ts";

/** llama.cpp's name of each class of transformers. */
const kinds: { readonly [Name in Architecture["name"]]: Kind } = {
  LlamaForCausalLM: "llama",
  GPT2LMHeadModel: "gpt2",
  Qwen2ForCausalLM: "qwen2",
  Qwen3ForCausalLM: "qwen3",
  Phi3ForCausalLM: "phi3",
};

/** llama.cpp's name of the model's architecture. @throws ConfigError for a model that has none. */
export const ggufKind = (config: ModelConfig, where: string): Kind => {
  const kind = kinds[architectureOf(config, where).name];
  if (kind === "qwen3" && config.bias.projection) {
    const must = "must be false with qkNorm for a GGUF file: llama.cpp has no such bias there";
    throw new ConfigError({ where: `${where}: bias.projection`, must, got: "true" });
  }
  return kind;
};

/** Tokens that llama.cpp looks for where a model's name has Phi-3 in it; it does not open a file that lacks one. */
const tokensOfPhi3 = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

/** The field with a model's name, for people; none where llama.cpp would take the model for another by it. */
export const nameField = (name: string, tokens: readonly string[]): Readonly<Record<string, TypedValue>> =>
  /phi-?3/iu.test(name) && !tokensOfPhi3.every((token) => tokens.includes(token)) ? {} : { "general.name": text(name) };

const ropeFields = (position: RopeConfig, rotated: number): Readonly<Record<string, TypedValue>> => {
  const { theta, scaling = { kind: "none" } } = position;
  return {
    "rope.dimension_count": u32(rotated),
    "rope.freq_base": f32(theta),
    ...(scaling.kind === "linear"
      ? { "rope.scaling.type": text("linear"), "rope.scaling.factor": f32(scaling.factor) }
      : {}),
  };
};

/** Fields that this program alone reads: others compute the same without them, or nearly. */
const ownFields = ({ mlp, position }: ModelConfig): Readonly<Record<string, TypedValue>> => {
  const scaling = position.kind === "rope" ? position.scaling : undefined;
  return {
    ...(mlp.kind === "gelu" && mlp.approximate === "none" ? { [ownKeys.gelu]: text("none") } : {}),
    ...(scaling?.kind === "llama3"
      ? {
          [ownKeys.lowFrequency]: f32(scaling.lowFrequency),
          [ownKeys.highFrequency]: f32(scaling.highFrequency),
          [ownKeys.originalContext]: u32(scaling.originalContext),
        }
      : {}),
  };
};

/** All fields about the model itself. @throws ConfigError for a model that llama.cpp has no architecture for. */
export const modelFields = (
  config: ModelConfig,
  vocabSize: number,
  where: string,
): Readonly<Record<string, TypedValue>> => {
  const kind = ggufKind(config, where);
  const { contextLength, nEmbd, nLayer, norm, mlp, position } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const own: Record<string, TypedValue> = {
    vocab_size: u32(vocabSize),
    context_length: u32(contextLength),
    embedding_length: u32(nEmbd),
    block_count: u32(nLayer),
    feed_forward_length: u32(mlpLayers(mlp, nEmbd).hidden),
    "attention.head_count": u32(heads),
    "attention.head_count_kv": u32(keyHeads),
    [`attention.layer_norm_${norm.kind === "rmsnorm" ? "rms_" : ""}epsilon`]: f32(norm.eps),
    ...(kind === "gpt2" ? {} : { "attention.key_length": u32(headDim), "attention.value_length": u32(headDim) }),
    ...(position.kind === "rope" ? ropeFields(position, rotaryDimOf(config, position)) : {}),
  };
  return {
    "general.architecture": text(kind),
    "general.type": text("model"),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${kind}.${key}`, value])),
    ...ownFields(config),
  };
};

/** Tensors of a file that are no weights: Llama 3's factors of the wavelengths, which llama.cpp reads in place of numbers. */
export const extraTensors = (config: ModelConfig): readonly LazyTensor[] => {
  const { position } = config;
  if (position.kind !== "rope" || position.scaling?.kind !== "llama3") return [];
  const factors = llama3Factors(rotaryDimOf(config, position) / 2, position.theta, position.scaling);
  return [{ name: frequencyFactors, shape: [factors.length], read: async () => factors }];
};
