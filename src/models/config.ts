import { z } from "zod";
import { positiveFloat32 } from "../core/tensors/float32.ts";

/** No machine holds more: a bound keeps a typing error or a forged file from taking all memory before it is noticed. */
const positiveInteger = (highest: number) => z.int().positive().max(highest);
const probability = z.number().min(0).lt(1);

const mostHeads = 2 ** 16;
/** The most channels of the residual stream. */
export const mostEmbd = 2 ** 16;

/** The most cosines and sines of a model's table, of all positions: those of a million positions and 128 channels. */
const maxAngles = 2 ** 27;

const ropeSchema = z.strictObject({
  kind: z.literal("rope"),
  theta: z.number().gt(1).default(10_000).describe("base of the wavelengths"),
  fraction: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("the part of each head's channels that is rotated; 1 unless given"),
  scaling: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("none") }),
      z.strictObject({
        kind: z.literal("linear"),
        factor: z
          .number()
          .min(1)
          .max(2 ** 20)
          .describe("how many times longer wavelengths become"),
      }),
      z.strictObject({
        kind: z.literal("llama3"),
        factor: z
          .number()
          .min(1)
          .max(2 ** 20)
          .default(8)
          .describe("how many times longer wavelengths become"),
        lowFrequency: z
          .number()
          .positive()
          .default(1)
          .describe("all of a wavelength that turns fewer times in originalContext is stretched"),
        highFrequency: z
          .number()
          .positive()
          .default(4)
          .describe("nothing of one that turns more often is; more than lowFrequency"),
        originalContext: positiveInteger(2 ** 30)
          .default(8192)
          .describe("tokens that a prediction could see in the first training"),
      }),
    ])
    .optional()
    .describe("how wavelengths are stretched for a longer context; none unless given"),
});

/** A learned vector for each place in the context. */
export interface LearnedPositionConfig {
  /** How a token's place is told: a learned vector, or a rotation of queries and keys. `learned` or `rope`. */
  readonly kind: "learned";
}
/** Wavelengths as they are. */
export interface NoRopeScaling {
  /** How wavelengths are stretched for a longer context; none unless given. `none`, `linear` or `llama3`. */
  readonly kind: "none";
}
/** All wavelengths become longer alike. */
export interface LinearRopeScaling {
  /** How wavelengths are stretched for a longer context; none unless given. `none`, `linear` or `llama3`. */
  readonly kind: "linear";
  /** How many times longer wavelengths become. Number from 1 to 1,048,576. No default. */
  readonly factor: number;
}
/** Long wavelengths become longer, short ones stay, as in Llama 3.1. */
export interface Llama3RopeScaling {
  /** How wavelengths are stretched for a longer context; none unless given. `none`, `linear` or `llama3`. */
  readonly kind: "llama3";
  /** How many times longer wavelengths become. Number from 1 to 1,048,576. Default 8. */
  readonly factor: number;
  /** All of a wavelength that turns fewer times in originalContext is stretched. Number above 0. Default 1. */
  readonly lowFrequency: number;
  /** Nothing of one that turns more often is; more than lowFrequency. Number above 0. Default 4. */
  readonly highFrequency: number;
  /** Tokens that a prediction could see in the first training. Whole number from 1 to 1,073,741,824. Default 8192. */
  readonly originalContext: number;
}
/** Rotary positions (RoPE, Su et al. 2021): queries and keys are rotated by angles that grow with the place. */
export interface RopeConfig {
  /** How a token's place is told: a learned vector, or a rotation of queries and keys. `learned` or `rope`. */
  readonly kind: "rope";
  /** Base of the wavelengths. Number above 1. Default 10,000. */
  readonly theta: number;
  /** The part of each head's channels that is rotated; 1 unless given. Number above 0, at most 1. */
  readonly fraction?: number | undefined;
  /** How wavelengths are stretched for a longer context; none unless given. */
  readonly scaling?: NoRopeScaling | LinearRopeScaling | Llama3RopeScaling | undefined;
}
/** Layer norm (Ba et al. 2016). */
export interface LayerNormConfig {
  /** Normalisation before each branch. `layernorm` or `rmsnorm`. */
  readonly kind: "layernorm";
  /** Added to the variance. Number above 0. Default 1e-5. */
  readonly eps: number;
}
/** RMS norm (Zhang & Sennrich 2019): without a mean and a bias. */
export interface RmsNormConfig {
  /** Normalisation before each branch. `layernorm` or `rmsnorm`. */
  readonly kind: "rmsnorm";
  /** Added to the mean square. Number above 0. Default 1e-6. */
  readonly eps: number;
}
/** Two layers with GELU (Hendrycks & Gimpel 2016) between them. */
export interface GeluMlpConfig {
  /** The position-wise branch. `gelu` or `swiglu`. */
  readonly kind: "gelu";
  /** Exact with erf, or the tanh form. `none` or `tanh`. Default `none`. */
  readonly approximate: "none" | "tanh";
  /** Hidden width / nEmbd. Whole number from 1 to 256. Default 4. */
  readonly ratio: number;
}
/** SwiGLU (Shazeer 2020): two layers side by side, one of them a gate, and one after them. */
export interface SwigluMlpConfig {
  /** The position-wise branch. `gelu` or `swiglu`. */
  readonly kind: "swiglu";
  /** Hidden width. Whole number from 1 to 262,144. Default: 344 in the preset `shakespeare`. */
  readonly hidden: number;
}
/** The linear layers that have a bias. */
export interface BiasConfig {
  /** Bias on queries, keys and values. Default: `false` in the preset `shakespeare`. */
  readonly qkv: boolean;
  /** Bias on attention's output projection. Default: `false` in the preset `shakespeare`. */
  readonly projection: boolean;
  /** Bias on both MLP layers. Default: `false` in the preset `shakespeare`. */
  readonly mlp: boolean;
}

/** Channels of a head that are rotated. */
export const rotaryDimOf = (
  config: { readonly nEmbd: number; readonly nHead: number; readonly headDim?: number | undefined },
  { fraction = 1 }: Pick<RopeConfig, "fraction">,
): number => Math.floor((config.headDim ?? config.nEmbd / config.nHead) * fraction);

/**
 * A transformer, every choice a discriminated union of its own. Written to checkpoints, read from `--config` files
 * and turned into flags (`--model.nLayer 6`), so an unknown key is an error. The vocabulary comes from the tokenizer.
 */
export const modelConfigSchema = z
  .strictObject({
    contextLength: positiveInteger(2 ** 20).describe("tokens that a prediction can see (T)"),
    nLayer: positiveInteger(2048).describe("transformer blocks"),
    nHead: positiveInteger(mostHeads).describe("attention heads in each block (H)"),
    nKvHead: positiveInteger(mostHeads)
      .optional()
      .describe("heads of keys and values, each shared by nHead / nKvHead of queries; nHead of them unless given"),
    headDim: positiveInteger(2 ** 16)
      .optional()
      .describe("channels of a head (D); nEmbd / nHead unless given"),
    nEmbd: positiveInteger(mostEmbd).describe("channels of the residual stream (C)"),
    position: z
      .discriminatedUnion("kind", [z.strictObject({ kind: z.literal("learned") }), ropeSchema])
      .describe("how a token's place is told: a learned vector, or a rotation of queries and keys"),
    qkNorm: z.boolean().default(false).describe("RMS norm of each head's queries and keys before they are rotated"),
    mask: z
      .enum(["causal", "none"])
      .default("causal")
      .describe("none: every position sees the whole window, which shows why the mask is there; cannot be saved"),
    norm: z
      .discriminatedUnion("kind", [
        z.strictObject({
          kind: z.literal("layernorm"),
          eps: positiveFloat32().default(1e-5).describe("added to the variance"),
        }),
        z.strictObject({
          kind: z.literal("rmsnorm"),
          eps: positiveFloat32().default(1e-6).describe("added to the mean square"),
        }),
      ])
      .describe("normalisation before each branch"),
    mlp: z
      .discriminatedUnion("kind", [
        z.strictObject({
          kind: z.literal("gelu"),
          approximate: z.enum(["none", "tanh"]).default("none").describe("exact with erf, or the tanh form"),
          ratio: positiveInteger(256).default(4).describe("hidden width / nEmbd"),
        }),
        z.strictObject({
          kind: z.literal("swiglu"),
          hidden: positiveInteger(2 ** 18).describe("hidden width"),
        }),
      ])
      .describe("the position-wise branch"),
    bias: z
      .strictObject({
        qkv: z.boolean().describe("bias on queries, keys and values"),
        projection: z.boolean().describe("bias on attention's output projection"),
        mlp: z.boolean().describe("bias on both MLP layers"),
      })
      .describe("which linear layers have a bias"),
    tieEmbeddings: z.boolean().describe("the head shares the token embedding's weights"),
    dropout: probability.describe("on attention weights and after both projections of a block"),
    initStd: positiveFloat32().describe("standard deviation of the initial weights"),
    zeroProjections: z
      .boolean()
      .default(false)
      .describe("the last layer of each branch starts at zero, so that a block starts as the identity"),
  })
  .check((check) => {
    const config = check.value;
    const { nEmbd, nHead, nKvHead = nHead, headDim, position, qkNorm } = config;
    const wrong = (field: string, message: string): void => {
      check.issues.push({ code: "custom", input: config, path: field.split("."), message });
    };
    const divided = headDim !== undefined || nEmbd % nHead === 0;
    if (!divided) {
      // Rotary positions take the channels of a head in pairs.
      const unit = position.kind === "rope" ? 2 * nHead : nHead;
      const below = Math.floor(nEmbd / unit) * unit;
      const options = below === 0 ? `${unit}` : `${below} or ${below + unit}`;
      wrong("nEmbd", `must be divisible by nHead; got ${nEmbd} and ${nHead}; try ${options}`);
    }
    // More heads than there may be have an issue of their own, and no divisor is looked for.
    if (nHead % nKvHead !== 0 && nHead <= mostHeads) {
      let hint = Math.floor(Math.min(nHead, nKvHead));
      while (hint > 1 && nHead % hint !== 0) hint--;
      wrong("nKvHead", `must divide nHead; got ${nKvHead} and ${nHead}; try ${Math.max(1, hint)}`);
    }
    if (qkNorm && position.kind !== "rope") {
      wrong(
        "qkNorm",
        `must be false unless position.kind is rope; got true with ${position.kind}; try position.kind rope`,
      );
    }
    if (position.kind !== "rope") return;
    const { fraction = 1, scaling } = position;
    const size = headDim ?? nEmbd / nHead;
    if (divided && size % 2 !== 0) {
      const must = "must be an even number of channels per head, which rope rotates in pairs";
      if (headDim === undefined) wrong("nEmbd", `${must}; got ${nEmbd} and ${nHead}; try ${nEmbd + nHead}`);
      else wrong("headDim", `${must}; got ${headDim}; try ${headDim + 1}`);
    } else if (divided && (rotaryDimOf(config, position) % 2 !== 0 || rotaryDimOf(config, position) === 0)) {
      const must = "must leave an even number of channels per head, of which rope rotates pairs";
      const pairs = Math.max(1, Math.round((size * fraction) / 2));
      // Rounded up: rounded down, it would be of fewer channels.
      const hint = Math.ceil(((2 * pairs) / size) * 1e5) / 1e5;
      wrong("position.fraction", `${must}; got ${fraction} of ${size}; try ${hint}`);
    }
    const angles = Math.max(1, rotaryDimOf(config, position));
    if (config.contextLength * angles > maxAngles) {
      wrong(
        "contextLength",
        `must be at most ${maxAngles} divided by the channels that rope rotates in a head; ` +
          `got ${config.contextLength}, and ${angles} channels; try ${Math.floor(maxAngles / angles)}`,
      );
    }
    if (scaling?.kind === "llama3" && scaling.originalContext >= config.contextLength) {
      const { originalContext, factor } = scaling;
      const hint = Math.max(1, Math.floor(config.contextLength / factor));
      wrong(
        "position.scaling.originalContext",
        `must be below contextLength, to which it is stretched; got ${originalContext} and ${config.contextLength}; try ${hint}`,
      );
    }
    if (scaling?.kind === "llama3" && scaling.highFrequency <= scaling.lowFrequency) {
      const { lowFrequency, highFrequency } = scaling;
      wrong(
        "position.scaling.highFrequency",
        `must be more than lowFrequency; got ${highFrequency} and ${lowFrequency}; try ${4 * lowFrequency}`,
      );
    }
  });

// The docstrings of the fields are the schema's, for editors: `node scripts/docs/config-docs.mjs` writes them.
/** The shape of a model: all but its vocabulary, which is the tokenizer's. */
export interface ModelConfig {
  /**
   * Tokens that a prediction can see (T). Whole number from 1 to 1,048,576. Default: 256 in the preset `shakespeare`.
   */
  readonly contextLength: number;
  /** Transformer blocks. Whole number from 1 to 2048. Default: 4 in the preset `shakespeare`. */
  readonly nLayer: number;
  /** Attention heads in each block (H). Whole number from 1 to 65,536. Default: 4 in the preset `shakespeare`. */
  readonly nHead: number;
  /**
   * Heads of keys and values, each shared by nHead / nKvHead of queries; nHead of them unless given. Whole number from
   * 1 to 65,536.
   */
  readonly nKvHead?: number | undefined;
  /** Channels of a head (D); nEmbd / nHead unless given. Whole number from 1 to 65,536. */
  readonly headDim?: number | undefined;
  /** Channels of the residual stream (C). Whole number from 1 to 65,536. Default: 128 in the preset `shakespeare`. */
  readonly nEmbd: number;
  /**
   * How a token's place is told: a learned vector, or a rotation of queries and keys. Default: `rope` in the preset
   * `shakespeare`.
   */
  readonly position: LearnedPositionConfig | RopeConfig;
  /** RMS norm of each head's queries and keys before they are rotated. Default: `true` in the preset `shakespeare`. */
  readonly qkNorm: boolean;
  /**
   * None: every position sees the whole window, which shows why the mask is there; cannot be saved. `causal` or `none`.
   * Default: `causal` in the preset `shakespeare`.
   */
  readonly mask: "causal" | "none";
  /** Normalisation before each branch. Default: `rmsnorm` in the preset `shakespeare`. */
  readonly norm: LayerNormConfig | RmsNormConfig;
  /** The position-wise branch. Default: `swiglu` in the preset `shakespeare`. */
  readonly mlp: GeluMlpConfig | SwigluMlpConfig;
  /** Which linear layers have a bias. */
  readonly bias: BiasConfig;
  /** The head shares the token embedding's weights. Default: `true` in the preset `shakespeare`. */
  readonly tieEmbeddings: boolean;
  /**
   * On attention weights and after both projections of a block. Number from 0, below 1. Default: 0 in the preset
   * `shakespeare`.
   */
  readonly dropout: number;
  /** Standard deviation of the initial weights. Number above 0. Default: 0.02 in the preset `shakespeare`. */
  readonly initStd: number;
  /**
   * The last layer of each branch starts at zero, so that a block starts as the identity. Default: `true` in the preset
   * `shakespeare`.
   */
  readonly zeroProjections: boolean;
}
