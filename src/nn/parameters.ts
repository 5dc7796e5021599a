import type { Shape } from "../core/tensors/shape.ts";

/** Initial values of a parameter. Random values have mean 0. */
export type Initialisation =
  | {
      /** Drawn from a normal distribution. */
      readonly kind: "normal";
      /** Its standard deviation. */
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
  /** Dotted path, for example "blocks.0.attention.qkv.weight". Unique in a model. */
  readonly name: string;
  /** Sizes of its axes. */
  readonly shape: Shape;
  /** Initial values. */
  readonly init: Initialisation;
  /**
   * For a weight inside a block that maps hidden states to hidden states. Several matrices are stacked along its first
   * axis, for example queries, keys and values; this is the number of rows of each matrix. Muon updates only such
   * weights. Absent for an embedding, the head and vectors.
   */
  readonly stacked?: readonly number[];
  /**
   * Whether it directly follows the previous parameter in memory, so that the two parameters can also be used as one
   * matrix.
   */
  readonly adjoins?: boolean;
}

/**
 * A layer calls this function for each of its parameters. In one use it collects their specifications (P =
 * ParameterSpec), in another it returns the tensors (P = Tensor). So a layer lists its parameters in one place only.
 */
export type Declare<P> = (spec: ParameterSpec) => P;
