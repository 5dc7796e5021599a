import { z } from "zod";

const kinds = z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("char") })]);

/** The tokenizer of a run whose configuration names none: the only one of early versions. */
export const defaultTokenizer: TokenizerConfig = { kind: "char" };

/** `char`: a token for each distinct character (Unicode code point) of the run's text. */
export const tokenizerConfigSchema = kinds
  .default(() => defaultTokenizer)
  .describe("what a token is: char, one character of the text");
/** What a run's tokens are. */
export type TokenizerConfig = z.infer<typeof kinds>;
