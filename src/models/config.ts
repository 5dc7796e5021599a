import { z } from "zod";
import { positiveFloat32 } from "../core/tensors/float32.ts";
import { checkModel, mostHeads } from "./config-checks.ts";
import {
  type BiasConfig,
  type GegluMlpConfig,
  type GeluMlpConfig,
  type LayerNormConfig,
  type LearnedPositionConfig,
  mlpSchema,
  mostContext,
  mostLayers,
  normSchema,
  positionSchema,
  positiveInteger,
  type Relu2MlpConfig,
  type RmsNormConfig,
  type RopeConfig,
  type SwigluMlpConfig,
  type WindowConfig,
  windowSchema,
} from "./config-parts.ts";

export { type RopeConfig, rotaryDimOf } from "./config-parts.ts";

const probability = z.number().min(0).lt(1);

/** Maximum number of channels of the residual stream. */
export const mostEmbd = 2 ** 16;

/**
 * Schema of a transformer's configuration. A configuration is written to checkpoints, read from `--config` files and
 * set by flags (`--model.nLayer 6`), so an unknown key is an error. The configuration does not contain the size of the
 * vocabulary, because the tokenizer defines this size.
 */
export const modelConfigSchema = z
  .strictObject({
    contextLength: positiveInteger(mostContext).describe(
      "context length: number of tokens that a prediction can see (T)",
    ),
    nLayer: positiveInteger(mostLayers).describe("transformer blocks"),
    nHead: positiveInteger(mostHeads).describe("attention heads in each block (H)"),
    nKvHead: positiveInteger(mostHeads)
      .optional()
      .describe("number of key heads, and of value heads; each is used by nHead / nKvHead query heads; default: nHead"),
    headDim: positiveInteger(2 ** 16)
      .optional()
      .describe("channels of a head (D); default: nEmbd / nHead"),
    nEmbd: positiveInteger(mostEmbd).describe("channels of the residual stream (C)"),
    position: positionSchema.describe("position encoding: learned vectors, or rotations of queries and keys"),
    window: windowSchema
      .optional()
      .describe("sliding window: a layer with a window sees only the latest tokens; default: no window"),
    qkNorm: z.boolean().default(false).describe("RMS norm of each head's queries and keys before they are rotated"),
    qkNormWidth: z
      .enum(["head", "all"])
      .optional()
      .describe(
        "which channels one norm of queries or keys covers: head means the channels of one head, all means the channels of all heads; default: head",
      ),
    attentionScale: positiveFloat32()
      .optional()
      .describe("factor by which each product of a query and a key is multiplied; default: 1 / √headDim"),
    mask: z
      .enum(["causal", "none"])
      .default("causal")
      .describe(
        "what a position sees: causal means only its own token and earlier tokens, none means all tokens, to show why a mask is needed; a model without a mask cannot be saved",
      ),
    norm: normSchema.describe("normalisation of each branch and before the head"),
    normPlacement: z
      .enum(["before", "after", "both"])
      .optional()
      .describe(
        "place of the norm of a branch f: before means x + f(norm(x)), after means x + norm(f(x)), both means x + norm(f(norm(x))); default: before",
      ),
    mlp: mlpSchema.describe("feed-forward branch; a model with relu2 cannot be saved"),
    bias: z
      .strictObject({
        qkv: z.boolean().describe("bias on queries, keys and values"),
        projection: z.boolean().describe("bias on attention's output projection"),
        mlp: z.boolean().describe("bias on both MLP layers"),
      })
      .describe("which linear layers have a bias"),
    tieEmbeddings: z.boolean().describe("whether the output layer uses the weights of the token embedding"),
    embeddingScale: positiveFloat32()
      .optional()
      .describe(
        "factor by which token vectors are multiplied at the input of the first layer, but not in the output layer; default: 1",
      ),
    dropout: probability.describe("dropout rate on attention weights and after both projections of a block"),
    initStd: positiveFloat32().describe("standard deviation of the initial weights"),
    zeroProjections: z
      .boolean()
      .default(false)
      .describe("whether the last layer of each branch starts at zero, so that a new block changes nothing"),
  })
  .check(({ value, issues }) => {
    checkModel(value, (field, message) => {
      issues.push({ code: "custom", input: value, path: field.split("."), message });
    });
  });

// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** Shape of a model, without its vocabulary size, which the tokenizer defines. */
export interface ModelConfig {
  /**
   * Context length: number of tokens that a prediction can see (T). Whole number from 1 to 1,048,576. Default: 256 in
   * the preset `shakespeare`.
   */
  readonly contextLength: number;
  /** Transformer blocks. Whole number from 1 to 2048. Default: 4 in the preset `shakespeare`. */
  readonly nLayer: number;
  /** Attention heads in each block (H). Whole number from 1 to 65,536. Default: 4 in the preset `shakespeare`. */
  readonly nHead: number;
  /**
   * Number of key heads, and of value heads; each is used by nHead / nKvHead query heads; default: nHead. Whole number
   * from 1 to 65,536.
   */
  readonly nKvHead?: number | undefined;
  /** Channels of a head (D); default: nEmbd / nHead. Whole number from 1 to 65,536. */
  readonly headDim?: number | undefined;
  /** Channels of the residual stream (C). Whole number from 1 to 65,536. Default: 128 in the preset `shakespeare`. */
  readonly nEmbd: number;
  /**
   * Position encoding: learned vectors, or rotations of queries and keys. Default: `rope` in the preset `shakespeare`.
   */
  readonly position: LearnedPositionConfig | RopeConfig;
  /** Sliding window: a layer with a window sees only the latest tokens; default: no window. */
  readonly window?: WindowConfig | undefined;
  /** RMS norm of each head's queries and keys before they are rotated. Default: `true` in the preset `shakespeare`. */
  readonly qkNorm: boolean;
  /**
   * Which channels one norm of queries or keys covers: head means the channels of one head, all means the channels of
   * all heads; default: head. `head` or `all`.
   */
  readonly qkNormWidth?: "head" | "all" | undefined;
  /** Factor by which each product of a query and a key is multiplied; default: 1 / √headDim. Number above 0. */
  readonly attentionScale?: number | undefined;
  /**
   * What a position sees: causal means only its own token and earlier tokens, none means all tokens, to show why a mask
   * is needed; a model without a mask cannot be saved. `causal` or `none`. Default: `causal` in the preset
   * `shakespeare`.
   */
  readonly mask: "causal" | "none";
  /** Normalisation of each branch and before the head. Default: `rmsnorm` in the preset `shakespeare`. */
  readonly norm: LayerNormConfig | RmsNormConfig;
  /**
   * Place of the norm of a branch f: before means x + f(norm(x)), after means x + norm(f(x)), both means x +
   * norm(f(norm(x))); default: before. `before`, `after` or `both`.
   */
  readonly normPlacement?: "before" | "after" | "both" | undefined;
  /** Feed-forward branch; a model with relu2 cannot be saved. Default: `swiglu` in the preset `shakespeare`. */
  readonly mlp: GeluMlpConfig | SwigluMlpConfig | GegluMlpConfig | Relu2MlpConfig;
  /** Which linear layers have a bias. */
  readonly bias: BiasConfig;
  /** Whether the output layer uses the weights of the token embedding. Default: `true` in the preset `shakespeare`. */
  readonly tieEmbeddings: boolean;
  /**
   * Factor by which token vectors are multiplied at the input of the first layer, but not in the output layer; default:
   * 1. Number above 0.
   */
  readonly embeddingScale?: number | undefined;
  /**
   * Dropout rate on attention weights and after both projections of a block. Number from 0, below 1. Default: 0 in the
   * preset `shakespeare`.
   */
  readonly dropout: number;
  /** Standard deviation of the initial weights. Number above 0. Default: 0.02 in the preset `shakespeare`. */
  readonly initStd: number;
  /**
   * Whether the last layer of each branch starts at zero, so that a new block changes nothing. Default: `true` in the
   * preset `shakespeare`.
   */
  readonly zeroProjections: boolean;
}
