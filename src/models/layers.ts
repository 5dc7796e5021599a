/** A layer's specification: what a configuration says of one block, resolved. */
import { headsOf } from "../nn/causal-self-attention.ts";
import type { MlpConfig } from "../nn/mlp.ts";
import type { ModelConfig } from "./config.ts";

/** The table by whose angles a layer's queries and keys are rotated. */
export type LayerAngles =
  /** That of `position`. */
  | "main"
  /** That of `window.theta`. */
  | "window"
  /** The layer is not rotated. */
  | "none";

/** What one block computes, with every default filled in. */
export interface LayerSpec {
  /** Tokens that a position sees, its own included; null: all before it. */
  readonly window: number | null;
  /** Factor of q·k. */
  readonly scale: number;
  /** How queries and keys are rotated. */
  readonly angles: LayerAngles;
  /** Which channels of queries, and of keys, are normalised together; none: they have no norm. */
  readonly qkNorm: "none" | "head" | "all";
  /** Where each branch has its norm. */
  readonly norms: "before" | "after" | "both";
  /** The position-wise branch. */
  readonly mlp: MlpConfig;
}

/** Whether layer `i`, from 0, is an n-th one. */
const isNth = (i: number, n: number | undefined): boolean => n !== undefined && (i + 1) % n === 0;

/** The specification of layer `i`, from 0. */
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
