/** Parts of a model's configuration that have several kinds or several fields: schemas and types. */
import { z } from "zod";
import { positiveFloat32 } from "../core/tensors/float32.ts";

/**
 * Maximum of sizes. No machine has memory for a larger model. The maximum catches typing errors and forged files before
 * memory is allocated.
 */
export const positiveInteger = (highest: number) => z.int().positive().max(highest);

/** Maximum number of layers of a model. */
export const mostLayers = 2048;
/** Maximum context length. */
export const mostContext = 2 ** 20;

/** The n in "every n-th layer". n is at least 2, because 1 would mean all layers. */
const everyNth = () => z.int().min(2).max(mostLayers);

const ropeSchema = z.strictObject({
  kind: z.literal("rope"),
  theta: z.number().gt(1).default(10_000).describe("base of the wavelengths"),
  fraction: z.number().gt(0).max(1).optional().describe("fraction of each head's channels that is rotated; default: 1"),
  scaling: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("none") }),
      z.strictObject({
        kind: z.literal("linear"),
        factor: z
          .number()
          .min(1)
          .max(2 ** 20)
          .describe("factor by which wavelengths are stretched"),
      }),
      z.strictObject({
        kind: z.literal("llama3"),
        factor: z
          .number()
          .min(1)
          .max(2 ** 20)
          .default(8)
          .describe("factor by which wavelengths are stretched"),
        lowFrequency: z
          .number()
          .positive()
          .default(1)
          .describe("wavelengths longer than originalContext / lowFrequency are fully stretched"),
        highFrequency: z
          .number()
          .positive()
          .default(4)
          .describe(
            "wavelengths shorter than originalContext / highFrequency are not stretched; must be greater than lowFrequency",
          ),
        originalContext: positiveInteger(2 ** 30)
          .default(8192)
          .describe("context length of the first training, in tokens"),
      }),
    ])
    .optional()
    .describe("how wavelengths are stretched for a longer context; default: none"),
  noneEvery: everyNth()
    .optional()
    .describe(
      "every n-th layer has no rotation; for example, 4 means every fourth layer; default: all layers are rotated",
    ),
});

export const positionSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("learned") }),
  ropeSchema,
]);

export const windowSchema = z.strictObject({
  size: positiveInteger(mostContext).describe(
    "number of latest tokens that a position sees, including its own token; default: no window",
  ),
  fullEvery: everyNth()
    .optional()
    .describe(
      "every n-th layer has no window; for example, 6 means every sixth layer; default: all layers have a window",
    ),
  theta: z
    .number()
    .gt(1)
    .optional()
    .describe(
      "base of the wavelengths in layers with a window; these wavelengths are never stretched; default: the wavelengths of layers without a window",
    ),
});

export const normSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("layernorm"),
    eps: positiveFloat32().default(1e-5).describe("added to the variance"),
  }),
  z.strictObject({
    kind: z.literal("rmsnorm"),
    eps: positiveFloat32().default(1e-6).describe("added to the mean square"),
  }),
]);

const geluForms = ["none", "tanh"] as const;
const geluForm = "form of GELU: none means the exact form with erf, tanh means the tanh approximation";

const hiddenWidth = () => positiveInteger(2 ** 18).describe("hidden width");
const hiddenRatio = () => positiveInteger(256).default(4).describe("hidden width divided by nEmbd");

export const mlpSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("gelu"),
    approximate: z.enum(geluForms).default("none").describe(geluForm),
    ratio: hiddenRatio(),
  }),
  z.strictObject({ kind: z.literal("swiglu"), hidden: hiddenWidth() }),
  z.strictObject({
    kind: z.literal("geglu"),
    hidden: hiddenWidth(),
    approximate: z.enum(geluForms).default("tanh").describe(geluForm),
  }),
  z.strictObject({ kind: z.literal("relu2"), ratio: hiddenRatio() }),
]);

// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** A learned vector for each position in the context. */
export interface LearnedPositionConfig {
  /** Position encoding: learned vectors, or rotations of queries and keys. `learned` or `rope`. */
  readonly kind: "learned";
}
/** Does not stretch wavelengths. */
export interface NoRopeScaling {
  /** How wavelengths are stretched for a longer context; default: none. `none`, `linear` or `llama3`. */
  readonly kind: "none";
}
/** Stretches all wavelengths by one factor. */
export interface LinearRopeScaling {
  /** How wavelengths are stretched for a longer context; default: none. `none`, `linear` or `llama3`. */
  readonly kind: "linear";
  /** Factor by which wavelengths are stretched. Number from 1 to 1,048,576. No default. */
  readonly factor: number;
}
/** Stretches only long wavelengths, as in Llama 3.1. */
export interface Llama3RopeScaling {
  /** How wavelengths are stretched for a longer context; default: none. `none`, `linear` or `llama3`. */
  readonly kind: "llama3";
  /** Factor by which wavelengths are stretched. Number from 1 to 1,048,576. Default 8. */
  readonly factor: number;
  /** Wavelengths longer than originalContext / lowFrequency are fully stretched. Number above 0. Default 1. */
  readonly lowFrequency: number;
  /**
   * Wavelengths shorter than originalContext / highFrequency are not stretched; must be greater than lowFrequency.
   * Number above 0. Default 4.
   */
  readonly highFrequency: number;
  /** Context length of the first training, in tokens. Whole number from 1 to 1,073,741,824. Default 8192. */
  readonly originalContext: number;
}
/** Rotary positions (RoPE, Su et al. 2021): queries and keys are rotated by angles that grow with the position. */
export interface RopeConfig {
  /** Position encoding: learned vectors, or rotations of queries and keys. `learned` or `rope`. */
  readonly kind: "rope";
  /** Base of the wavelengths. Number above 1. Default 10,000. */
  readonly theta: number;
  /** Fraction of each head's channels that is rotated; default: 1. Number above 0, at most 1. */
  readonly fraction?: number | undefined;
  /** How wavelengths are stretched for a longer context; default: none. */
  readonly scaling?: NoRopeScaling | LinearRopeScaling | Llama3RopeScaling | undefined;
  /**
   * Every n-th layer has no rotation; for example, 4 means every fourth layer; default: all layers are rotated. Whole
   * number from 2 to 2048.
   */
  readonly noneEvery?: number | undefined;
}
/** Sliding-window attention (Beltagy et al. 2020; Jiang et al. 2023): a position sees only the latest tokens. */
export interface WindowConfig {
  /**
   * Number of latest tokens that a position sees, including its own token; default: no window. Whole number from 1 to
   * 1,048,576. No default.
   */
  readonly size: number;
  /**
   * Every n-th layer has no window; for example, 6 means every sixth layer; default: all layers have a window. Whole
   * number from 2 to 2048.
   */
  readonly fullEvery?: number | undefined;
  /**
   * Base of the wavelengths in layers with a window; these wavelengths are never stretched; default: the wavelengths of
   * layers without a window. Number above 1.
   */
  readonly theta?: number | undefined;
}
/** Layer norm (Ba et al. 2016). */
export interface LayerNormConfig {
  /** Normalisation of each branch and before the head. `layernorm` or `rmsnorm`. */
  readonly kind: "layernorm";
  /** Added to the variance. Number above 0. Default 1e-5. */
  readonly eps: number;
}
/** RMS norm (Zhang & Sennrich 2019): it has no mean and no bias. */
export interface RmsNormConfig {
  /** Normalisation of each branch and before the head. `layernorm` or `rmsnorm`. */
  readonly kind: "rmsnorm";
  /** Added to the mean square. Number above 0. Default 1e-6. */
  readonly eps: number;
}
/** Two layers with GELU (Hendrycks & Gimpel 2016) between them. */
export interface GeluMlpConfig {
  /** Feed-forward branch; a model with relu2 cannot be saved. `gelu`, `swiglu`, `geglu` or `relu2`. */
  readonly kind: "gelu";
  /**
   * Form of GELU: none means the exact form with erf, tanh means the tanh approximation. `none` or `tanh`. Default
   * `none`.
   */
  readonly approximate: "none" | "tanh";
  /** Hidden width divided by nEmbd. Whole number from 1 to 256. Default 4. */
  readonly ratio: number;
}
/** SwiGLU (Shazeer 2020): a gate layer and an up layer side by side, then a down layer. */
export interface SwigluMlpConfig {
  /** Feed-forward branch; a model with relu2 cannot be saved. `gelu`, `swiglu`, `geglu` or `relu2`. */
  readonly kind: "swiglu";
  /** Hidden width. Whole number from 1 to 262,144. Default: 344 in the preset `shakespeare`. */
  readonly hidden: number;
}
/** GEGLU (Shazeer 2020): SwiGLU with GELU instead of SiLU. */
export interface GegluMlpConfig {
  /** Feed-forward branch; a model with relu2 cannot be saved. `gelu`, `swiglu`, `geglu` or `relu2`. */
  readonly kind: "geglu";
  /** Hidden width. Whole number from 1 to 262,144. No default. */
  readonly hidden: number;
  /**
   * Form of GELU: none means the exact form with erf, tanh means the tanh approximation. `none` or `tanh`. Default
   * `tanh`.
   */
  readonly approximate: "none" | "tanh";
}
/** Two layers with max(0, x)² between them (So et al. 2021, "Primer"). */
export interface Relu2MlpConfig {
  /** Feed-forward branch; a model with relu2 cannot be saved. `gelu`, `swiglu`, `geglu` or `relu2`. */
  readonly kind: "relu2";
  /** Hidden width divided by nEmbd. Whole number from 1 to 256. Default 4. */
  readonly ratio: number;
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

/** Number of channels of a head that are rotated. */
export const rotaryDimOf = (
  config: { readonly nEmbd: number; readonly nHead: number; readonly headDim?: number | undefined },
  { fraction = 1 }: Pick<RopeConfig, "fraction">,
): number => Math.floor((config.headDim ?? config.nEmbd / config.nHead) * fraction);
