import { z } from "zod";

/** Linear layers of a block, in the order of a forward pass. A GELU MLP has no gate. */
export const loraTargets = ["query", "key", "value", "projection", "gate", "up", "down"] as const;
/** A linear layer of a block. */
export type LoraTarget = (typeof loraTargets)[number];

/**
 * LoRA (Hu et al. 2021): each target layer keeps its weight W, and training changes two small matrices A and B instead:
 * y = x·Wᵀ + b + (alpha / rank)·dropout(x)·Aᵀ·Bᵀ.
 */
export const loraConfigSchema = z.strictObject({
  rank: z.int().positive().max(4096).default(8).describe("rows of A and columns of B (r)"),
  alpha: z
    .number()
    .positive()
    .max(2 ** 20)
    .default(16)
    .describe("the adapter's output is multiplied by alpha / rank"),
  dropout: z.number().min(0).lt(1).default(0).describe("dropout rate on the input of A in training"),
  targets: z
    .array(z.enum(loraTargets))
    .min(1)
    .optional()
    .describe("linear layers that get an adapter, separated by commas; default: all"),
});

// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** Low-rank adapters (LoRA, Hu et al. 2021) of a model's linear layers. The model's own weights do not change. */
export interface LoraConfig {
  /** Rows of A and columns of B (r). Whole number from 1 to 4096. Default 8. */
  readonly rank: number;
  /** The adapter's output is multiplied by alpha / rank. Number above 0, at most 1,048,576. Default 16. */
  readonly alpha: number;
  /** Dropout rate on the input of A in training. Number from 0, below 1. Default 0. */
  readonly dropout: number;
  /** Linear layers that get an adapter, separated by commas; default: all. */
  readonly targets?: readonly LoraTarget[] | undefined;
}

/** Factor of an adapter's term in a layer. */
export const loraScale = ({ alpha, rank }: Pick<LoraConfig, "alpha" | "rank">): number => alpha / rank;
