import type { Shape } from "../core/tensors/shape.ts";

/** How a parameter starts. The mean of what is drawn is 0. */
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
      /** The values are from −bound to bound. */
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
  /** Dotted path, as "blocks.0.attention.qkv.weight". Unique in a model. */
  readonly name: string;
  /** Sizes of its axes. */
  readonly shape: Shape;
  /** Its first values. */
  readonly init: Initialisation;
  /**
   * For a weight that maps hidden states to hidden states, inside a block: the rows of each of the matrices that are stacked
   * along its first axis, as queries, keys and values. Muon updates these and no others. Absent: an embedding, the head or a
   * vector.
   */
  readonly stacked?: readonly number[];
  /** Whether it lies directly behind the parameter before it, so that both are one matrix too. */
  readonly adjoins?: boolean;
}

/**
 * A layer names its parameters by calling `declare` for each: once to learn what there is (P = ParameterSpec), once
 * to get the tensors (P = Tensor). So a layer's parameters are listed in one place only.
 */
export type Declare<P> = (spec: ParameterSpec) => P;
