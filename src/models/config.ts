import { z } from "zod";
import { positiveFloat32 } from "../core/float32.ts";

/** No machine holds more: a bound keeps a typing error or a forged file from taking all memory before it is noticed. */
const positiveInteger = (highest: number) => z.int().positive().max(highest);
const probability = z.number().min(0).lt(1);

/**
 * A transformer, every choice a discriminated union of its own. Written to checkpoints, read from `--config` files
 * and turned into flags (`--model.nLayer 6`), so an unknown key is an error. The vocabulary comes from the tokenizer.
 */
export const modelConfigSchema = z
  .strictObject({
    contextLength: positiveInteger(2 ** 20).describe("tokens that a prediction can see (T)"),
    nLayer: positiveInteger(2048).describe("transformer blocks"),
    nHead: positiveInteger(2 ** 16).describe("attention heads in each block (H)"),
    nEmbd: positiveInteger(2 ** 16).describe("channels of the residual stream (C)"),
    position: z
      .discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("learned") }),
        z.strictObject({
          kind: z.literal("rope"),
          theta: z.number().gt(1).default(10_000).describe("base of the wavelengths"),
        }),
      ])
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
    const { nEmbd, nHead, position, qkNorm } = check.value;
    if (position.kind === "rope" && (nEmbd / nHead) % 2 !== 0 && nEmbd % nHead === 0) {
      check.issues.push({
        code: "custom",
        input: check.value,
        path: ["nEmbd"],
        message: `must be an even number of channels per head, which rope rotates in pairs; got ${nEmbd} and ${nHead}; try ${nEmbd + nHead}`,
      });
    }
    if (qkNorm && position.kind !== "rope") {
      check.issues.push({
        code: "custom",
        input: check.value,
        path: ["qkNorm"],
        message: `must be false unless position.kind is rope; got true with ${position.kind}; try position.kind rope`,
      });
    }
    if (nEmbd % nHead !== 0) {
      const below = Math.floor(nEmbd / nHead) * nHead;
      const options = below === 0 ? `${nHead}` : `${below} or ${below + nHead}`;
      check.issues.push({
        code: "custom",
        input: check.value,
        path: ["nEmbd"],
        message: `must be divisible by nHead; got ${nEmbd} and ${nHead}; try ${options}`,
      });
    }
  });

/** The shape of a model: all but its vocabulary, which is the tokenizer's. */
export type ModelConfig = z.infer<typeof modelConfigSchema>;
