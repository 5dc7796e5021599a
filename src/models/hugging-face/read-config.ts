/** A model's configuration from the `config.json` of another program. */
import { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import { type ModelConfig, modelConfigSchema } from "../config.ts";
import { readRope } from "./read-rope.ts";

/** A configuration, and the rows of the embedding. */
export interface ReadConfig {
  readonly config: ModelConfig;
  readonly vocabSize: number;
}

const count = z.int().positive();
const optional = <T extends z.ZodType>(schema: T) => schema.nullish();
const flag = z.boolean().nullish();
const number = z.number().nullish();
const text = z.string().nullish();

/** Fields that change the result and have no part in the models here, each with its values that change nothing. */
const refused: Readonly<Record<string, readonly unknown[]>> = {
  quantization_config: [],
  compression_config: [],
  add_cross_attention: [false],
  is_encoder_decoder: [false],
  is_causal: [true],
  auto_map: [],
  pretraining_tp: [1],
  adapters: [],
};

const fail = (where: string, field: string, must: string, got: unknown): never => {
  throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(got) });
};

const checkRefused = (json: object, fields: Readonly<Record<string, readonly unknown[]>>, where: string): void => {
  for (const [field, harmless] of Object.entries(fields)) {
    const value: unknown = Reflect.get(json, field);
    if (value === undefined || value === null || harmless.includes(value)) continue;
    const must =
      harmless.length === 0 ? "must be absent, since such models are not supported" : `must be ${harmless[0]}`;
    fail(where, field, must, value);
  }
};

/** Names of GELU in its tanh form; `gelu` is the form with erf. */
const tanhGelus: readonly string[] = ["gelu_new", "gelu_pytorch_tanh"];

const gpt2Json = z.object({
  vocab_size: count,
  n_positions: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_inner: optional(count),
  activation_function: text,
  layer_norm_epsilon: number,
  resid_pdrop: number,
  initializer_range: number,
  tie_word_embeddings: flag,
});

const readGpt2 = (json: object, where: string): ReadConfig => {
  checkRefused(json, { scale_attn_weights: [true], scale_attn_by_inverse_layer_idx: [false] }, where);
  const read = parseConfig(gpt2Json, json, where);
  const { n_embd: nEmbd } = read;
  const activation = read.activation_function ?? "gelu_new";
  if (activation !== "gelu" && !tanhGelus.includes(activation)) {
    fail(where, "activation_function", `must be ${alternatives(["gelu", ...tanhGelus])}`, activation);
  }
  const hidden = read.n_inner ?? 4 * nEmbd;
  if (hidden % nEmbd !== 0) fail(where, "n_inner", `must be a multiple of n_embd, ${nEmbd}`, hidden);
  return {
    vocabSize: read.vocab_size,
    config: {
      contextLength: read.n_positions,
      nLayer: read.n_layer,
      nHead: read.n_head,
      nEmbd,
      position: { kind: "learned" },
      qkNorm: false,
      mask: "causal",
      norm: { kind: "layernorm", eps: read.layer_norm_epsilon ?? 1e-5 },
      mlp: { kind: "gelu", approximate: activation === "gelu" ? "none" : "tanh", ratio: hidden / nEmbd },
      bias: { qkv: true, projection: true, mlp: true },
      tieEmbeddings: read.tie_word_embeddings ?? true,
      dropout: read.resid_pdrop ?? 0.1,
      initStd: read.initializer_range ?? 0.02,
      zeroProjections: false,
    },
  };
};

/** A class of the Llama family. */
interface Member {
  /** `rms_norm_eps` where it is absent. */
  readonly eps: number;
  readonly qkNorm?: true;
  /** Biases of all four layers of attention, where `attention_bias` asks for them; or of Q, K and V, always. */
  readonly attentionBias: "asked" | "qkv" | "none";
  readonly mlpBias?: true;
  /** A part of each head may be rotated. */
  readonly partial?: true;
  /** Whether attention sees a sliding window: where `sliding_window` is a number, or only where `use_sliding_window` asks. */
  readonly slides: "never" | "asked" | "given";
  /** `sliding_window` where it is absent. */
  readonly window?: number;
  /** `head_dim` where it is absent; else hidden_size / num_attention_heads. */
  readonly headDim?: number;
}

const members: Readonly<Record<string, Member>> = {
  llama: { eps: 1e-6, attentionBias: "asked", mlpBias: true, slides: "never" },
  mistral: { eps: 1e-6, attentionBias: "none", slides: "given", window: 4096 },
  qwen2: { eps: 1e-6, attentionBias: "qkv", slides: "asked", window: 4096 },
  qwen3: { eps: 1e-6, attentionBias: "asked", qkNorm: true, slides: "asked", window: 4096, headDim: 128 },
  phi3: { eps: 1e-5, attentionBias: "none", partial: true, slides: "given" },
};

const llamaJson = z.object({
  vocab_size: count,
  max_position_embeddings: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: optional(count),
  head_dim: optional(count),
  hidden_act: text,
  rms_norm_eps: z.number().nullish(),
  attention_dropout: number,
  initializer_range: number,
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  use_sliding_window: flag,
  sliding_window: optional(count),
  max_window_layers: optional(z.int().min(0)),
  layer_types: optional(z.array(z.string())),
});

const defaultWindowLayers = 28;

/** Fails where a position would not see the whole context before it. */
const checkWindow = (read: z.output<typeof llamaJson>, member: Member, where: string): void => {
  const { max_position_embeddings: context, num_hidden_layers: layers, layer_types: types } = read;
  const isAsked = member.slides === "given" || (member.slides === "asked" && read.use_sliding_window === true);
  const window = read.sliding_window === undefined ? member.window : read.sliding_window;
  if (member.slides === "never" || typeof window !== "number" || window >= context) return;
  const listed = types?.find((type) => type !== "full_attention");
  if (listed !== undefined) fail(where, "layer_types", "must be full_attention in every layer", listed);
  if (!isAsked || (types ?? null) !== null) return;
  // In these classes only the layers from max_window_layers on have a sliding window.
  if (member.slides === "asked" && (read.max_window_layers ?? defaultWindowLayers) >= layers) return;
  fail(
    where,
    "sliding_window",
    `must be null or at least the context of ${context}: every position sees all before it`,
    window,
  );
};

const readLlama = (json: object, member: Member, where: string): ReadConfig => {
  const read = parseConfig(llamaJson, json, where);
  const { num_attention_heads: nHead, hidden_size: nEmbd } = read;
  const activation = read.hidden_act ?? "silu";
  const [attentionBias, mlpBias] = [read.attention_bias ?? false, read.mlp_bias ?? false];
  if (activation !== "silu") fail(where, "hidden_act", "must be silu", activation);
  if (mlpBias && member.mlpBias !== true) fail(where, "mlp_bias", "must be false", true);
  if (attentionBias && member.attentionBias === "none") fail(where, "attention_bias", "must be false", true);
  checkWindow(read, member, where);
  const asked = member.attentionBias === "asked" && attentionBias;
  const headDim = read.head_dim ?? member.headDim;
  const nKvHead = read.num_key_value_heads ?? nHead;
  return {
    vocabSize: read.vocab_size,
    config: {
      contextLength: read.max_position_embeddings,
      nLayer: read.num_hidden_layers,
      nHead,
      ...(nKvHead === nHead ? {} : { nKvHead }),
      ...(headDim === undefined || headDim * nHead === nEmbd ? {} : { headDim }),
      nEmbd,
      position: readRope(json, member.partial === true, where),
      qkNorm: member.qkNorm === true,
      mask: "causal",
      norm: { kind: "rmsnorm", eps: read.rms_norm_eps ?? member.eps },
      mlp: { kind: "swiglu", hidden: read.intermediate_size },
      bias: {
        qkv: asked || member.attentionBias === "qkv",
        projection: asked,
        mlp: mlpBias,
      },
      tieEmbeddings: read.tie_word_embeddings ?? false,
      dropout: read.attention_dropout ?? 0,
      initStd: read.initializer_range ?? 0.02,
      zeroProjections: false,
    },
  };
};

const headed = z.object({ model_type: z.string(), architectures: optional(z.array(z.string())) });

/** Classes without a head of their own kind: the bare model, or one that predicts the next token. */
const isCausal = (name: string): boolean =>
  /^(GPT2|Llama|Mistral|Qwen2|Qwen3|Phi3)(ForCausalLM|LMHeadModel|Model)$/u.test(name);

/**
 * The configuration in the `config.json` of a Hugging Face directory: of GPT-2, Llama, Mistral, Qwen2, Qwen3 or Phi-3. Of a
 * field that is absent, it takes the value that `transformers` takes.
 * @param json parsed.
 * @param where the file, for errors.
 * @throws CheckpointError naming the field, for a model that would give other results here.
 */
export const readHuggingFaceConfig = (json: object, where: string): ReadConfig => {
  try {
    const { model_type: type, architectures } = parseConfig(headed, json, where);
    const head = architectures?.[0];
    if (head !== undefined && !isCausal(head)) {
      fail(where, "architectures", "must be a class that predicts the next token, such as LlamaForCausalLM", head);
    }
    checkRefused(json, refused, where);
    const member = Object.hasOwn(members, type) ? members[type] : undefined;
    if (type !== "gpt2" && member === undefined) {
      fail(where, "model_type", `must be ${alternatives(["gpt2", ...Object.keys(members)])}`, type);
    }
    const read = member === undefined ? readGpt2(json, where) : readLlama(json, member, where);
    return { ...read, config: parseConfig(modelConfigSchema, read.config, where) };
  } catch (error) {
    if (!(error instanceof ForetokenError) || error instanceof CheckpointError) throw error;
    throw new CheckpointError({ ...error.details, cause: error });
  }
};
