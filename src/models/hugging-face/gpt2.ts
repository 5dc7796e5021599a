import type { ModelConfig } from "../config.ts";
import { type Architecture, commonJson, type TensorMapping } from "./architecture.ts";

/**
 * `GPT2LMHeadModel`: learned positions, layer norm, GELU, keys and values for each head. Its linear layers inside blocks are `Conv1D`: weights
 * [in, out], the transpose of ours. It always has Q, K and V biases and biases on both MLP layers.
 */

type Gpt2Config = ModelConfig & {
  readonly position: { readonly kind: "learned" };
  readonly norm: { readonly kind: "layernorm" };
  readonly mlp: { readonly kind: "gelu" };
};

export const isGpt2 = (config: ModelConfig): config is Gpt2Config =>
  config.position.kind === "learned" &&
  config.norm.kind === "layernorm" &&
  config.mlp.kind === "gelu" &&
  (config.nKvHead ?? config.nHead) === config.nHead &&
  (config.headDim ?? config.nEmbd / config.nHead) === config.nEmbd / config.nHead;

const blockMappings = (i: number, nEmbd: number, hidden: number): readonly TensorMapping[] => {
  const map = (ours: string, theirs: string, rest: Partial<TensorMapping> = {}): TensorMapping => ({
    ours: `blocks.${i}.${ours}`,
    theirs: `transformer.h.${i}.${theirs}`,
    ...rest,
  });
  const transposed = true;
  return [
    map("attentionNorm.weight", "ln_1.weight"),
    map("attentionNorm.bias", "ln_1.bias"),
    map("attention.qkv.weight", "attn.c_attn.weight", { transposed }),
    map("attention.qkv.bias", "attn.c_attn.bias", { absent: 3 * nEmbd }),
    map("attention.projection.weight", "attn.c_proj.weight", { transposed }),
    map("attention.projection.bias", "attn.c_proj.bias", { absent: nEmbd }),
    map("mlpNorm.weight", "ln_2.weight"),
    map("mlpNorm.bias", "ln_2.bias"),
    map("mlp.up.weight", "mlp.c_fc.weight", { transposed }),
    map("mlp.up.bias", "mlp.c_fc.bias", { absent: hidden }),
    map("mlp.down.weight", "mlp.c_proj.weight", { transposed }),
    map("mlp.down.bias", "mlp.c_proj.bias", { absent: nEmbd }),
  ];
};

export const gpt2 = (config: Gpt2Config): Architecture => {
  const { contextLength, nEmbd, nLayer, nHead, dropout, norm, mlp, tieEmbeddings } = config;
  const hidden = mlp.ratio * nEmbd;
  return {
    name: "GPT2LMHeadModel",
    prefix: "transformer.",
    configJson: (vocabSize) => ({
      ...commonJson("GPT2LMHeadModel", "gpt2", config, vocabSize),
      n_positions: contextLength,
      n_ctx: contextLength,
      n_embd: nEmbd,
      n_layer: nLayer,
      n_head: nHead,
      n_inner: hidden,
      activation_function: mlp.approximate === "tanh" ? "gelu_new" : "gelu",
      layer_norm_epsilon: norm.eps,
      attn_pdrop: dropout,
      resid_pdrop: dropout,
      embd_pdrop: 0,
      scale_attn_weights: true,
    }),
    mappings: [
      { ours: "tokens.weight", theirs: "transformer.wte.weight" },
      { ours: "positions.weight", theirs: "transformer.wpe.weight" },
      ...Array.from({ length: nLayer }, (_, i) => blockMappings(i, nEmbd, hidden)).flat(),
      { ours: "norm.weight", theirs: "transformer.ln_f.weight" },
      { ours: "norm.bias", theirs: "transformer.ln_f.bias" },
      ...(tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
    ],
  };
};
