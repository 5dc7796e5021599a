import { z } from "zod";

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
    nLayer: positiveInteger(10_000).describe("transformer blocks"),
    nHead: positiveInteger(2 ** 16).describe("attention heads in each block (H)"),
    nEmbd: positiveInteger(2 ** 16).describe("channels of the residual stream (C)"),
    position: z
      .discriminatedUnion("kind", [z.strictObject({ kind: z.literal("learned") })])
      .describe("how a token's place is told"),
    norm: z
      .discriminatedUnion("kind", [
        z.strictObject({
          kind: z.literal("layernorm"),
          eps: z.number().positive().default(1e-5).describe("added to the variance"),
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
    initStd: z.number().positive().describe("standard deviation of the initial weights"),
  })
  .check((check) => {
    const { nEmbd, nHead } = check.value;
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

export type ModelConfig = z.infer<typeof modelConfigSchema>;
