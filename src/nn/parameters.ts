import type { Shape } from "../core/tensors/shape.ts";

/** Initial values of a parameter. Random values have mean 0. */
export type Initialisation =
  | {
      /** Drawn from a normal distribution. */
      readonly kind: "normal";
      /** Standard deviation of the normal distribution. */
      readonly std: number;
    }
  | {
      /** Drawn from a uniform distribution. */
      readonly kind: "uniform";
      /** Values lie between −bound and bound. */
      readonly bound: number;
    }
  | {
      /** All 0. */
      readonly kind: "zeros";
    }
  | {
      /** All 1. */
      readonly kind: "ones";
    };

export interface ParameterSpec {
  /**
   * Name of the parameter as a path with dots, for example "blocks.0.attention.qkv.weight". The name is unique in a
   * model.
   */
  readonly name: string;
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Initial values. */
  readonly init: Initialisation;
  /**
   * For a weight inside a block that maps hidden states to hidden states: the number of rows of each matrix. Several
   * matrices are stacked along the first axis, for example queries, keys and values. Muon updates only such weights.
   * Absent for an embedding, the head and vectors.
   */
  readonly stacked?: readonly number[];
  /**
   * Whether the parameter directly follows the previous parameter in memory. The two parameters can then also be used
   * as one matrix.
   */
  readonly adjoins?: boolean;
}

/**
 * A layer calls this function for each of its parameters. To describe a model, the function collects specifications (P
 * = ParameterSpec); to build a model, it returns tensors (P = Tensor). A layer therefore lists its parameters in one
 * place only.
 */
export type Declare<P> = (spec: ParameterSpec) => P;
