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
   * For a weight inside a block that maps hidden states to hidden states: numbers of rows of the matrices stacked along
   * its first axis, for example queries, keys and values. Muon updates only such weights. Absent: an embedding, the
   * head or a vector.
   */
  readonly stacked?: readonly number[];
  /** Whether it directly follows the previous parameter in memory, so that both also form one matrix. */
  readonly adjoins?: boolean;
}

/**
 * Called by a layer for each of its parameters: once to collect their specifications (P = ParameterSpec), once to get
 * the tensors (P = Tensor). So a layer lists its parameters in one place only.
 */
export type Declare<P> = (spec: ParameterSpec) => P;
