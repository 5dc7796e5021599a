import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { type GeluApproximation, gelu } from "../ops/gelu.ts";
import { geluMlp } from "../ops/gelu-mlp.ts";
import { swiglu } from "../ops/swiglu.ts";
import { declareLinear, type LinearParameters, linearLayer, residualLayer } from "./linear.ts";
import type { Declare, Initialisation } from "./parameters.ts";

/** The position-wise branch of a block. */
export type MlpConfig =
  /** Hidden width F = ratio · nEmbd. */
  | { readonly kind: "gelu"; readonly approximate: GeluApproximation; readonly ratio: number }
  /** Hidden width F = hidden; the first layer makes a gate beside it. */
  | { readonly kind: "swiglu"; readonly hidden: number }
  /** The same with GELU of the gate. */
  | { readonly kind: "geglu"; readonly hidden: number; readonly approximate: GeluApproximation }
  /** Hidden width F = ratio · nEmbd, and max(0, x)² of it. */
  | { readonly kind: "relu2"; readonly ratio: number };

export interface MlpParameters<P> {
  /** C → F, or with a gate C → 2·F: gate and up, one above the other. */
  readonly up: LinearParameters<P>;
  /** F → C */
  readonly down: LinearParameters<P>;
}

export interface MlpShape {
  readonly nEmbd: number;
  readonly bias: boolean;
  readonly init: Initialisation;
  /** Of the last layer, `down`. */
  readonly projectionInit: Initialisation;
}

/** The two linear layers of the branch. */
export interface MlpLayers {
  /** Name of the first one: gateUp where it makes a gate too. */
  readonly first: "up" | "gateUp";
  /** F */
  readonly hidden: number;
  /** Outputs of the parts of the first one, one above the other. */
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

/** residual + the branch of x, [B, T, C] → [B, T, C] */
export const mlp = (
  context: Context,
  config: MlpConfig,
  layer: MlpParameters<Tensor>,
  x: Tensor,
  residual: Tensor,
  dropout: number,
): Tensor => {
  switch (config.kind) {
    case "gelu": {
      const { approximate } = config;
      // Adapters add to the hidden layer before GELU is applied, which the fused op does where the product is finished; and it takes no
      // weights in blocks.
      const isPlain =
        layer.up.lora === undefined && layer.down.lora === undefined && layer.up.weight.blocks === undefined;
      if (isPlain) return geluMlp(context, x, { ...layer, approximate }, residual, dropout);
      const up = linearLayer(context, layer.up, x); // [B, T, F]
      const hidden = gelu(context, up, approximate); // [B, T, F]
      spend(context, up);
      const y = residualLayer(context, layer.down, hidden, residual, dropout);
      spend(context, hidden);
      return y;
    }
    case "swiglu": {
      const gateUp = linearLayer(context, layer.up, x); // [B, T, 2F]
      const hidden = swiglu(context, gateUp); // [B, T, F]
      spend(context, gateUp);
      const y = residualLayer(context, layer.down, hidden, residual, dropout);
      spend(context, hidden);
      return y;
    }
    case "geglu":
    case "relu2":
      throw new ConfigError({ where: "model.mlp.kind", must: "must be gelu or swiglu", got: config.kind });
  }
};
