import { type Context, spend } from "../autograd/context.ts";
import { recomputed } from "../autograd/recompute.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { type BlockParameters, block, declareBlock, dropoutPlacesOfBlock } from "../nn/block.ts";
import { type AngleTables, anglesFor } from "../nn/layer-spec.ts";
import { declareLinear, type LinearParameters, linearLayer } from "../nn/linear.ts";
import { declareNorm, type NormParameters, norm } from "../nn/norm.ts";
import type { Declare } from "../nn/parameters.ts";
import type { AttentionCache } from "../ops/causal-attention.ts";
import { embedding } from "../ops/embedding.ts";
import type { Segments } from "../ops/segments.ts";
import type { ModelConfig } from "./config.ts";
import { layerOf } from "./layers.ts";

export interface TransformerParameters<P> {
  /** [V, C] */
  readonly tokens: P;
  /** Learned position vectors, [contextLength, C]. Null if the model uses rotary positions. */
  readonly positions: P | null;
  /** The blocks, in the order of a forward pass. */
  readonly blocks: readonly BlockParameters<P>[];
  /** The norm before the head. */
  readonly norm: NormParameters<P>;
  /** C → V */
  readonly head: LinearParameters<P>;
}

/** Declares every parameter of the model, in the order of a forward pass. */
export const declareTransformer = <P>(
  declare: Declare<P>,
  config: ModelConfig,
  vocabSize: number,
): TransformerParameters<P> => {
  const { nEmbd, contextLength, nLayer, position, initStd: std } = config;
  const normal = { kind: "normal", std } as const;
  const tokens = declare({ name: "tokens.weight", shape: [vocabSize, nEmbd], init: normal });
  const positions =
    position.kind === "learned"
      ? declare({ name: "positions.weight", shape: [contextLength, nEmbd], init: normal })
      : null;
  const blocks = Array.from({ length: nLayer }, (_, i) =>
    declareBlock(declare, `blocks.${i}`, config, layerOf(config, i)),
  );
  const finalNorm = declareNorm(declare, "norm", config.norm, nEmbd);
  const head = config.tieEmbeddings
    ? { weight: tokens, bias: null }
    : declareLinear(declare, "head", { inputs: nEmbd, outputs: vocabSize, bias: false, init: normal });
  return { tokens, positions, blocks, norm: finalNorm, head };
};

/** The weights of a model, and its tables of rotary angles. */
export interface TransformerTensors extends TransformerParameters<Tensor> {
  /** Angles of rotary positions. */
  readonly angles: AngleTables;
}

/** The sequences of a forward pass, and their cached keys and values. */
export interface PassSequences {
  /**
   * How a batch of one row is divided. The parts are separate documents or, with a cache, sequences that are continued
   * together. Default null: each row of the batch is a sequence.
   */
  readonly segments?: Segments | null;
  /**
   * Cached keys and values of earlier tokens, one cache per block. The pass appends the keys and values of its own
   * tokens. Inference only.
   */
  readonly layers?: readonly AttentionCache[] | null;
}

/** ids [B, T] → the residual stream after the final norm, [B, T, C]. */
export const transformer = (
  context: Context,
  config: ModelConfig,
  parameters: TransformerTensors,
  ids: Tensor,
  { segments = null, layers = null }: PassSequences = {},
): Tensor => {
  const { tokens, positions } = parameters;
  let x = embedding(context, ids, tokens, positions, { segments, scale: config.embeddingScale }); // [B, T, C]
  for (const [i, layer] of parameters.blocks.entries()) {
    const spec = layerOf(config, i);
    const angles = anglesFor(spec, parameters.angles);
    const run = (within: Context, input: Tensor): Tensor =>
      block(within, config, spec, layer, input, angles, { segments, cache: layers?.[i] ?? null });
    const next = context.recomputes === true ? recomputed(context, x, run) : run(context, x); // [B, T, C]
    spend(context, x);
    x = next;
  }
  const hidden = norm(context, config.norm, parameters.norm, x); // [B, T, C]
  spend(context, x);
  return hidden;
};

/**
 * Number of dropout places in one forward pass. Each place has a number. `more` is the number of additional places per
 * block, for adapters.
 */
export const dropoutPlaces = ({ nLayer }: ModelConfig, more = 0): number => nLayer * (dropoutPlacesOfBlock + more);

/** The head: [.., C] → logits [.., V]. */
export const logitsOf = (context: Context, parameters: TransformerParameters<Tensor>, hidden: Tensor): Tensor =>
  linearLayer(context, parameters.head, hidden);
