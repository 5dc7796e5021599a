/** `config.json` of `transformers` classes with blocks like Llama's. */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { lazy } from "../../../core/lazy.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { HuggingFaceForm, ReadConfig } from "../architecture.ts";
import { checkRefused, commonJson, count, fail, flag, number, optional, text } from "./fields.ts";
import { type LlamaKind, llamaConfig } from "./llama-kind.ts";
import { llamaMappings } from "./llama-names.ts";
import { readRope, ropeJson } from "./rope-json.ts";
import { readWindow } from "./window-json.ts";

const llamaFields = lazy(() =>
  z.object({
    vocab_size: count,
    max_position_embeddings: count,
    hidden_size: count,
    intermediate_size: count,
    num_hidden_layers: count,
    num_attention_heads: count,
    num_key_value_heads: optional(count),
    head_dim: optional(count),
    hidden_act: text,
    hidden_activation: text,
    rms_norm_eps: number,
    attention_dropout: number,
    initializer_range: number,
    tie_word_embeddings: flag,
    attention_bias: flag,
    mlp_bias: flag,
  }),
);

/** The activation function's name, and the field that contains this name. */
const activations = {
  swiglu: { field: "hidden_act", name: "silu" },
  geglu: { field: "hidden_activation", name: "gelu_pytorch_tanh" },
} as const;

const readLlama = (json: object, kind: LlamaKind, where: string): ReadConfig => {
  const read = parseConfig(llamaFields(), json, where);
  const { num_attention_heads: nHead, hidden_size: nEmbd } = read;
  const { mlp = "swiglu", normPlacement, qkNorm } = kind;
  const { field, name } = activations[mlp];
  const activation = read[field] ?? name;
  const [attentionBias, mlpBias] = [read.attention_bias ?? false, read.mlp_bias ?? false];
  if (activation !== name) fail(where, field, `must be ${name}`, activation);
  if (mlpBias && kind.mlpBias !== true) fail(where, "mlp_bias", "must be false", true);
  if (attentionBias && kind.attentionBias === "none") fail(where, "attention_bias", "must be false", true);
  checkRefused(json, kind.refused ?? {}, where);
  const asked = kind.attentionBias === "asked" && attentionBias;
  const headDim = read.head_dim ?? kind.headDim;
  const nKvHead = read.num_key_value_heads ?? kind.nKvHead ?? nHead;
  const { position, windowTheta: theta } = readRope(json, kind, where);
  const window = readWindow(json, { slides: kind.slides, size: kind.window, theta }, where);
  const config: ModelConfig = {
    contextLength: read.max_position_embeddings,
    nLayer: read.num_hidden_layers,
    nHead,
    ...(nKvHead === nHead ? {} : { nKvHead }),
    ...(headDim === undefined || headDim * nHead === nEmbd ? {} : { headDim }),
    nEmbd,
    position,
    ...(window === null ? {} : { window }),
    qkNorm: qkNorm !== undefined,
    ...(qkNorm === "all" ? { qkNormWidth: qkNorm } : {}),
    mask: "causal",
    norm: { kind: "rmsnorm", eps: read.rms_norm_eps ?? kind.eps },
    ...(normPlacement === undefined ? {} : { normPlacement }),
    mlp:
      mlp === "swiglu"
        ? { kind: mlp, hidden: read.intermediate_size }
        : { kind: mlp, hidden: read.intermediate_size, approximate: "tanh" },
    bias: {
      qkv: asked || kind.attentionBias === "qkv",
      projection: asked,
      mlp: mlpBias,
    },
    tieEmbeddings: read.tie_word_embeddings ?? kind.tied ?? false,
    dropout: read.attention_dropout ?? 0,
    initStd: read.initializer_range ?? 0.02,
    zeroProjections: false,
  };
  return { vocabSize: read.vocab_size, config: kind.readOwn?.(json, config, where) ?? config };
};

const llamaJson = (config: ModelConfig, kind: LlamaKind, vocabSize: number): Record<string, unknown> => {
  const model = llamaConfig(config);
  const { heads, keyHeads, headDim } = headsOf(config);
  const { field, name } = activations[kind.mlp ?? "swiglu"];
  return {
    ...commonJson(kind.className, kind.modelType, config, vocabSize),
    hidden_size: config.nEmbd,
    intermediate_size: model.mlp.hidden,
    num_hidden_layers: config.nLayer,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    head_dim: headDim,
    [field]: name,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.norm.eps,
    ...ropeJson(model.position),
    attention_dropout: config.dropout,
    ...kind.ownJson(model),
  };
};

/** How `transformers` stores a class with blocks like Llama's. */
export const llamaForm = (kind: LlamaKind): HuggingFaceForm => ({
  className: kind.className,
  modelType: kind.modelType,
  prefix: "model.",
  read: (json, where) => readLlama(json, kind, where),
  configJson: (config, vocabSize) => llamaJson(config, kind, vocabSize),
  mappings: (config) => llamaMappings(config, kind, kind.fused === "always"),
  ...(kind.fused === "siblings" ? { fused: (config: ModelConfig) => llamaMappings(config, kind, true) } : {}),
});
