/** Names of a model's weights in GGUF files. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import { mlpLayers } from "../../../nn/mlp.ts";
import type { ModelConfig } from "../../config.ts";
import type { TensorMapping } from "../architecture.ts";

/** Differences between an architecture's files and Llama's files. */
export interface GgufNames {
  /** Whether one layer computes Q, K and V, and one layer computes gate and up. */
  readonly fused?: boolean;
  /** Whether files always contain biases. If the model has no biases, zeros are written. */
  readonly alwaysBiased?: boolean;
}

/** A layer of a block: the names of its tensors, its number of rows, and whether it has a bias. */
const layer = (
  theirs: string,
  ours: string,
  rows: number,
  bias: boolean | "always",
  first?: number,
): readonly TensorMapping[] => {
  const part = first === undefined ? {} : { part: { first, rows } };
  return [
    { theirs: `${theirs}.weight`, ours: `${ours}.weight`, ...part },
    ...(bias === false
      ? []
      : [{ theirs: `${theirs}.bias`, ours: `${ours}.bias`, ...part, ...(bias === "always" ? { absent: rows } : {}) }]),
  ];
};

const blockMappings = (
  i: number,
  config: ModelConfig,
  { fused = false, alwaysBiased = false }: GgufNames,
): readonly TensorMapping[] => {
  const { nEmbd, mlp, bias, norm, normPlacement = "before", qkNorm } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const hasNormBias = norm.kind === "layernorm";
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  const map = (theirs: string, ours: string, rows: number, has: boolean | "always", first?: number) =>
    layer(`blk.${i}.${theirs}`, `blocks.${i}.${ours}`, rows, has, first);
  const biased = (has: boolean): boolean | "always" => (alwaysBiased ? "always" : has);
  const { first, hidden } = mlpLayers(mlp, nEmbd);
  const before = (theirs: string, ours: string) =>
    normPlacement === "after" ? [] : map(theirs, ours, nEmbd, hasNormBias);
  const after = (theirs: string, ours: string) =>
    normPlacement === "before" ? [] : map(theirs, ours, nEmbd, hasNormBias);
  return [
    ...before("attn_norm", "attentionNorm"),
    ...(fused
      ? map("attn_qkv", "attention.qkv", queries + 2 * keys, biased(bias.qkv))
      : [
          ...map("attn_q", "attention.qkv", queries, biased(bias.qkv), 0),
          ...map("attn_k", "attention.qkv", keys, biased(bias.qkv), queries),
          ...map("attn_v", "attention.qkv", keys, biased(bias.qkv), queries + keys),
        ]),
    ...(qkNorm
      ? [
          ...map("attn_q_norm", "attention.queryNorm", headDim, false),
          ...map("attn_k_norm", "attention.keyNorm", headDim, false),
        ]
      : []),
    ...map("attn_output", "attention.projection", nEmbd, biased(bias.projection)),
    ...after("post_attention_norm", "attentionPostNorm"),
    ...before("ffn_norm", "mlpNorm"),
    ...(first === "up"
      ? map("ffn_up", "mlp.up", hidden, biased(bias.mlp))
      : fused
        ? map("ffn_up", "mlp.gateUp", 2 * hidden, biased(bias.mlp))
        : [
            ...map("ffn_gate", "mlp.gateUp", hidden, biased(bias.mlp), 0),
            ...map("ffn_up", "mlp.gateUp", hidden, biased(bias.mlp), hidden),
          ]),
    ...map("ffn_down", "mlp.down", nEmbd, biased(bias.mlp)),
    ...after("post_ffw_norm", "mlpPostNorm"),
  ];
};

/** All weights that a complete file has. */
export const ggufMappings = (config: ModelConfig, names: GgufNames = {}): readonly TensorMapping[] => [
  { theirs: "token_embd.weight", ours: "tokens.weight" },
  ...(config.position.kind === "learned" ? [{ theirs: "position_embd.weight", ours: "positions.weight" }] : []),
  ...Array.from({ length: config.nLayer }, (_, i) => blockMappings(i, config, names)).flat(),
  ...layer("output_norm", "norm", config.nEmbd, config.norm.kind === "layernorm"),
  ...(config.tieEmbeddings ? [] : [{ theirs: "output.weight", ours: "head.weight" }]),
];
