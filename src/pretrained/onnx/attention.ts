/** Causal self-attention with a KV cache, as ONNX operators. */
import type { ModelConfig } from "../../models/config.ts";
import { rotaryDimOf } from "../../models/config.ts";
import { layerOf } from "../../models/layers.ts";
import { headsOf } from "../../nn/causal-self-attention.ts";
import type { LayerSpec } from "../../nn/layer-spec.ts";
import { type GraphBuilder, type Name, whole, wholes } from "./builder.ts";
import type { Products } from "./linear.ts";
import { rmsNorm } from "./pieces.ts";
import { floatTensor, type NamedWeights } from "./weights.ts";

/** Cosines and sines of the rotary angles of each token, [B, 1, T, R/2]. */
export interface Angles {
  readonly cos: Name;
  readonly sin: Name;
}

/** Parts of the graph that all blocks share. */
export interface Shared {
  /** Vector with the sizes B and T. */
  readonly batchTime: Name;
  /** Mask [B, 1, T, S] that is added to a layer's scores. */
  readonly bias: (spec: LayerSpec) => Name;
  /** Angles of a layer. Null if the layer has no rotary position embeddings. */
  readonly angles: (spec: LayerSpec) => Angles | null;
  readonly weights: NamedWeights;
  readonly by: Products;
}

/** Applies rotary position embeddings to the first R channels of x [B, H, T, D]; see ops/rotary.ts. */
const rotated = (builder: GraphBuilder, x: Name, { cos, sin }: Angles, half: number, headDim: number): Name => {
  const { node } = builder;
  const rest = headDim - 2 * half;
  const [first = "", second = "", ...others] = builder.split(x, -1, [half, half, ...(rest === 0 ? [] : [rest])]);
  const turned = [
    node("Sub", [node("Mul", [first, cos]), node("Mul", [second, sin])]),
    node("Add", [node("Mul", [second, cos]), node("Mul", [first, sin])]),
  ];
  return node("Concat", [...turned, ...others], { axis: whole(-1) });
};

/** Attention without the residual connection: x [N, C] → [N, C]. @param i index of the block. */
export const attention = (builder: GraphBuilder, config: ModelConfig, i: number, x: Name, shared: Shared): Name => {
  const { node } = builder;
  const { batchTime, weights, by } = shared;
  const spec = layerOf(config, i);
  const { qkNorm } = spec;
  const angles = shared.angles(spec);
  const bias = shared.bias(spec);
  const { heads, keyHeads, headDim } = headsOf(config);
  const layer = `blocks.${i}.attention`;
  const half = config.position.kind === "rope" ? rotaryDimOf(config, config.position) / 2 : 0;
  const parts = [heads, keyHeads, keyHeads].map((count) => count * headDim);
  const [q = "", k = "", v = ""] = builder.split(by.linear(`${layer}.qkv`, x), 1, parts);

  const normed = (of: Name, norm: string): Name =>
    rmsNorm(builder, of, builder.tensor(floatTensor(weights, `${layer}.${norm}.weight`)), config.norm.eps);
  /** [N, n·D] → [B, n, T, D]. If queries or keys have a norm, it is applied first. */
  const byHeads = (of: Name, count: number, norm: string | null): Name => {
    const shape = node("Concat", [batchTime, builder.wholes(count, headDim)], { axis: whole(0) });
    const rows = norm !== null && qkNorm === "all" ? normed(of, norm) : of; // [N, n·D]
    const apart = node("Reshape", [rows, shape]); // [B, T, n, D]
    const own = norm !== null && qkNorm === "head" ? normed(apart, norm) : apart;
    return node("Transpose", [own], { perm: wholes(0, 2, 1, 3) });
  };
  const turn = (of: Name): Name => (angles === null ? of : rotated(builder, of, angles, half, headDim));
  const queries = turn(byHeads(q, heads, "queryNorm")); // [B, H, T, D]
  const withPast = (part: string, of: Name): Name =>
    node("Concat", [`past_key_values.${i}.${part}`, of], { axis: whole(2) }, `present.${i}.${part}`);
  const keys = withPast("key", turn(byHeads(k, keyHeads, "keyNorm"))); // [B, Hk, S, D]
  const values = withPast("value", byHeads(v, keyHeads, null)); // [B, Hk, S, D]

  // Grouped-query attention: G query heads share one key head. The query heads become rows of this key head, [B, Hk,
  // G·T, D]. In a shape for Reshape, 0 means that an axis keeps its size.
  const grouped = (of: Name): Name =>
    heads === keyHeads ? of : node("Reshape", [of, builder.wholes(0, keyHeads, -1, 0)]);
  const apart = (of: Name): Name => (heads === keyHeads ? of : node("Reshape", [of, builder.wholes(0, heads, -1, 0)]));
  const scaled = node("Mul", [queries, builder.scalar(spec.scale)]);
  const across = node("Transpose", [keys], { perm: wholes(0, 1, 3, 2) });
  const scores = apart(node("MatMul", [grouped(scaled), across])); // [B, H, T, S]
  const shares = node("Softmax", [node("Add", [scores, bias])], { axis: whole(-1) });
  const mixed = apart(node("MatMul", [grouped(shares), values])); // [B, H, T, D]
  const rows = node("Transpose", [mixed], { perm: wholes(0, 2, 1, 3) });
  return by.linear(`${layer}.projection`, node("Reshape", [rows, builder.wholes(-1, heads * headDim)]));
};
