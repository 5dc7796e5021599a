/** `config.json` of the classes of `transformers` that have Llama's blocks. */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { HuggingFaceForm, ReadConfig } from "../architecture.ts";
import { commonJson, count, fail, flag, number, optional, text } from "./fields.ts";
import { type LlamaKind, llamaConfig } from "./llama-kind.ts";
import { llamaMappings } from "./llama-names.ts";
import { readRope, ropeJson } from "./rope-json.ts";

const llamaFields = z.object({
  vocab_size: count,
  max_position_embeddings: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: optional(count),
  head_dim: optional(count),
  hidden_act: text,
  rms_norm_eps: number,
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
const checkWindow = (read: z.output<typeof llamaFields>, kind: LlamaKind, where: string): void => {
  const { max_position_embeddings: context, num_hidden_layers: layers, layer_types: types } = read;
  const isAsked = kind.slides === "given" || (kind.slides === "asked" && read.use_sliding_window === true);
  const window = read.sliding_window === undefined ? kind.window : read.sliding_window;
  if (kind.slides === "never" || typeof window !== "number" || window >= context) return;
  const listed = types?.find((type) => type !== "full_attention");
  if (listed !== undefined) fail(where, "layer_types", "must be full_attention in every layer", listed);
  if (!isAsked || (types ?? null) !== null) return;
  // In these classes only the layers from max_window_layers on have a sliding window.
  if (kind.slides === "asked" && (read.max_window_layers ?? defaultWindowLayers) >= layers) return;
  fail(
    where,
    "sliding_window",
    `must be null or at least the context of ${context}: every position sees all before it`,
    window,
  );
};

const readLlama = (json: object, kind: LlamaKind, where: string): ReadConfig => {
  const read = parseConfig(llamaFields, json, where);
  const { num_attention_heads: nHead, hidden_size: nEmbd } = read;
  const activation = read.hidden_act ?? "silu";
  const [attentionBias, mlpBias] = [read.attention_bias ?? false, read.mlp_bias ?? false];
  if (activation !== "silu") fail(where, "hidden_act", "must be silu", activation);
  if (mlpBias && kind.mlpBias !== true) fail(where, "mlp_bias", "must be false", true);
  if (attentionBias && kind.attentionBias === "none") fail(where, "attention_bias", "must be false", true);
  checkWindow(read, kind, where);
  const asked = kind.attentionBias === "asked" && attentionBias;
  const headDim = read.head_dim ?? kind.headDim;
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
      position: readRope(json, kind.partial === true, where),
      qkNorm: kind.qkNorm === true,
      mask: "causal",
      norm: { kind: "rmsnorm", eps: read.rms_norm_eps ?? kind.eps },
      mlp: { kind: "swiglu", hidden: read.intermediate_size },
      bias: {
        qkv: asked || kind.attentionBias === "qkv",
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

const llamaJson = (config: ModelConfig, kind: LlamaKind, vocabSize: number): Record<string, unknown> => {
  const model = llamaConfig(config);
  const { heads, keyHeads, headDim } = headsOf(config);
  return {
    ...commonJson(kind.className, kind.modelType, config, vocabSize),
    hidden_size: config.nEmbd,
    intermediate_size: model.mlp.hidden,
    num_hidden_layers: config.nLayer,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    head_dim: headDim,
    hidden_act: "silu",
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.norm.eps,
    ...ropeJson(model.position),
    attention_dropout: config.dropout,
    ...kind.ownJson(model),
  };
};

/** The form of a class that has Llama's blocks. */
export const llamaForm = (kind: LlamaKind): HuggingFaceForm => ({
  className: kind.className,
  modelType: kind.modelType,
  prefix: "model.",
  read: (json, where) => readLlama(json, kind, where),
  configJson: (config, vocabSize) => llamaJson(config, kind, vocabSize),
  mappings: (config) => llamaMappings(config, kind, kind.fused === "always"),
  ...(kind.fused === "siblings" ? { fused: (config: ModelConfig) => llamaMappings(config, kind, true) } : {}),
});
