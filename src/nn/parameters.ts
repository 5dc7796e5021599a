import type { Shape } from "../core/shape.ts";

/** How a parameter starts. `std` is the standard deviation of a normal with mean 0. */
export type Initialisation =
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" };

export interface ParameterSpec {
  /** Dotted path, as "blocks.0.attention.qkv.weight". Unique in a model. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initialisation;
  /**
   * For a weight that maps hidden states to hidden states, inside a block: the rows of each of the matrices that are stacked
   * along its first axis, as queries, keys and values. Muon updates these and no others. Absent: an embedding, the head or a
   * vector.
   */
  readonly stacked?: readonly number[];
}

/**
 * A layer names its parameters by calling `declare` for each: once to learn what there is (P = ParameterSpec), once
 * to get the tensors (P = Tensor). So a layer's parameters are listed in one place only.
 */
export type Declare<P> = (spec: ParameterSpec) => P;
