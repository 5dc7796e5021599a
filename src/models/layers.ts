/** Derives the specification of each layer from a configuration. */
import { headsOf } from "../nn/causal-self-attention.ts";
import type { LayerSpec } from "../nn/layer-spec.ts";
import type { ModelConfig } from "./config.ts";

export type { LayerSpec } from "../nn/layer-spec.ts";

/**
 * Whether layer `i`, counted from 0, is an n-th layer. Counted from 1, the number of such a layer is a multiple of n.
 */
const isNth = (i: number, n: number | undefined): boolean => n !== undefined && (i + 1) % n === 0;

/** Specification of layer `i`, counted from 0. */
export const layerOf = (config: ModelConfig, i: number): LayerSpec => {
  const { position, window, qkNorm, qkNormWidth = "head", normPlacement = "before", mlp } = config;
  const hasWindow = window !== undefined && !isNth(i, window.fullEvery);
  const isRotated = position.kind === "rope" && !isNth(i, position.noneEvery);
  const turned = hasWindow && window.theta !== undefined ? "window" : "main";
  return {
    window: hasWindow ? window.size : null,
    scale: config.attentionScale ?? 1 / Math.sqrt(headsOf(config).headDim),
    angles: isRotated ? turned : "none",
    qkNorm: qkNorm ? qkNormWidth : "none",
    norms: normPlacement,
    mlp,
  };
};
