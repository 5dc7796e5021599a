/**
 * GPT-2 (Radford et al. 2019): learned positions, layer norm, GELU, and an equal number of key heads and query heads.
 * Linear layers inside blocks of `GPT2LMHeadModel` are `Conv1D`. The weights of `Conv1D` are [in, out], the transpose
 * of Foretoken's weights. Q, K, V and both MLP layers always have biases.
 */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { lazy } from "../../../core/lazy.ts";
import { alternatives } from "../../../core/text/alternatives.ts";
import type { ModelConfig } from "../../config.ts";
import type { GeluMlpConfig } from "../../config-parts.ts";
import type { Architecture, HuggingFaceForm, ReadConfig, TensorMapping } from "../architecture.ts";
import { checkRefused, commonJson, count, fail, flag, number, optional, tanhGelus, text } from "../common/fields.ts";
import { gpt2Gguf } from "./gguf.ts";

/** Returns GPT-2's MLP. Any other MLP is a bug. */
const mlpOf = ({ mlp }: ModelConfig): GeluMlpConfig => {
  if (mlp.kind !== "gelu") throw new Error("GPT-2 must have a GELU MLP");
  return mlp;
};

const gpt2Fields = lazy(() =>
  z.object({
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
  }),
);

const readGpt2 = (json: object, where: string): ReadConfig => {
  checkRefused(json, { scale_attn_weights: [true], scale_attn_by_inverse_layer_idx: [false] }, where);
  const read = parseConfig(gpt2Fields(), json, where);
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

const huggingFace: HuggingFaceForm = {
  className: "GPT2LMHeadModel",
  modelType: "gpt2",
  prefix: "transformer.",
  read: readGpt2,
  configJson: (config, vocabSize) => {
    const { contextLength, nEmbd, nLayer, nHead, dropout, norm } = config;
    const mlp = mlpOf(config);
    return {
      ...commonJson("GPT2LMHeadModel", "gpt2", config, vocabSize),
      n_positions: contextLength,
      n_ctx: contextLength,
      n_embd: nEmbd,
      n_layer: nLayer,
      n_head: nHead,
      n_inner: mlp.ratio * nEmbd,
      activation_function: mlp.approximate === "tanh" ? "gelu_new" : "gelu",
      layer_norm_epsilon: norm.eps,
      attn_pdrop: dropout,
      resid_pdrop: dropout,
      embd_pdrop: 0,
      scale_attn_weights: true,
    };
  },
  mappings: (config) => {
    const { nEmbd, nLayer, tieEmbeddings } = config;
    const hidden = mlpOf(config).ratio * nEmbd;
    return [
      { ours: "tokens.weight", theirs: "transformer.wte.weight" },
      { ours: "positions.weight", theirs: "transformer.wpe.weight" },
      ...Array.from({ length: nLayer }, (_, i) => blockMappings(i, nEmbd, hidden)).flat(),
      { ours: "norm.weight", theirs: "transformer.ln_f.weight" },
      { ours: "norm.bias", theirs: "transformer.ln_f.bias" },
      ...(tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
    ];
  },
};

export const gpt2: Architecture = {
  name: "gpt2",
  takes: {
    position: ["learned"],
    norm: ["layernorm"],
    mlp: ["gelu"],
    approximate: "any",
    "bias.qkv": "any",
    "bias.projection": "any",
    "bias.mlp": "any",
  },
  huggingFace,
  gguf: gpt2Gguf,
};
