import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { geglu } from "../ops/geglu.ts";
import { type GeluApproximation, gelu } from "../ops/gelu.ts";
import { geluMlp } from "../ops/gelu-mlp.ts";
import { relu2 } from "../ops/relu2.ts";
import { swiglu } from "../ops/swiglu.ts";
import { type BranchEnd, declareLinear, type LinearParameters, lastLayer, linearLayer } from "./linear.ts";
import type { Declare, Initialisation } from "./parameters.ts";

/** Configuration of the feed-forward branch of a block. */
export type MlpConfig =
  /** Hidden width F = ratio · nEmbd. */
  | { readonly kind: "gelu"; readonly approximate: GeluApproximation; readonly ratio: number }
  /** Hidden width F = hidden. The first layer computes gate and up. */
  | { readonly kind: "swiglu"; readonly hidden: number }
  /** Like swiglu, but with GELU of the gate. */
  | { readonly kind: "geglu"; readonly hidden: number; readonly approximate: GeluApproximation }
  /** Hidden width F = ratio · nEmbd. The activation function is max(0, x)². */
  | { readonly kind: "relu2"; readonly ratio: number };

export interface MlpParameters<P> {
  /** C → F. With a gate: C → 2·F, gate and up stacked. */
  readonly up: LinearParameters<P>;
  /** F → C */
  readonly down: LinearParameters<P>;
}

export interface MlpShape {
  readonly nEmbd: number;
  readonly bias: boolean;
  readonly init: Initialisation;
  /** Settings of the last layer, `down`. */
  readonly projectionInit: Initialisation;
}

/** The two linear layers of the branch. */
export interface MlpLayers {
  /** Name of the first layer: gateUp if it computes gate and up. */
  readonly first: "up" | "gateUp";
  /** F */
  readonly hidden: number;
  /** Number of outputs for each stacked part of the first layer. */
  readonly stacked: readonly number[];
}

export const mlpLayers = (config: MlpConfig, nEmbd: number): MlpLayers => {
  switch (config.kind) {
    case "gelu":
    case "relu2": {
      const hidden = config.ratio * nEmbd;
      return { first: "up", hidden, stacked: [hidden] };
    }
    case "swiglu":
    case "geglu": {
      const { hidden } = config;
      return { first: "gateUp", hidden, stacked: [hidden, hidden] };
    }
  }
};

export const declareMlp = <P>(
  declare: Declare<P>,
  name: string,
  config: MlpConfig,
  { nEmbd, bias, init, projectionInit }: MlpShape,
): MlpParameters<P> => {
  const { first, hidden, stacked } = mlpLayers(config, nEmbd);
  return {
    up: declareLinear(declare, `${name}.${first}`, {
      inputs: nEmbd,
      outputs: stacked.length * hidden,
      bias,
      init,
      stacked,
    }),
    down: declareLinear(declare, `${name}.down`, {
      inputs: hidden,
      outputs: nEmbd,
      bias,
      init: projectionInit,
      stacked: [nEmbd],
    }),
  };
};

/** Activation after the first layer. [B, T, F] → [B, T, F], or with a gate [B, T, 2F] → [B, T, F] */
const activated = (context: Context, config: MlpConfig, x: Tensor): Tensor => {
  switch (config.kind) {
    case "gelu":
      return gelu(context, x, config.approximate);
    case "swiglu":
      return swiglu(context, x);
    case "geglu":
      return geglu(context, x, config.approximate);
    case "relu2":
      return relu2(context, x);
  }
};

/** residual + MLP(x), [B, T, C] → [B, T, C] */
export const mlp = (
  context: Context,
  config: MlpConfig,
  layer: MlpParameters<Tensor>,
  x: Tensor,
  end: BranchEnd,
): Tensor => {
  // The fused op applies GELU in the product's epilogue and ends with the sum with the residual. The fused op cannot be
  // used with adapters, because adapters add to the hidden layer before GELU. Quantized weights and a norm after the
  // branch also exclude the fused op.
  const { residual, dropout } = end;
  const isPlain = layer.up.lora === undefined && layer.down.lora === undefined && layer.up.weight.blocks === undefined;
  if (config.kind === "gelu" && isPlain && residual !== null) {
    return geluMlp(context, x, { ...layer, approximate: config.approximate }, residual, dropout);
  }
  // A gated layer is wide, so it is stored in the type of activations.
  const dtype = mlpLayers(config, 1).first === "gateUp" ? context.backend.capabilities.activations : undefined;
  const up = linearLayer(context, layer.up, x, dtype); // [B, T, F], or with a gate [B, T, 2F]
  const hidden = activated(context, config, up); // [B, T, F]
  spend(context, up);
  const y = lastLayer(context, layer.down, hidden, end);
  spend(context, hidden);
  return y;
};
