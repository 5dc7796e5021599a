import { z } from "zod";
import { type SplitPattern, splitPatterns } from "./bpe/split/patterns.ts";

const charSchema = z.strictObject({ kind: z.literal("char") });

const bpeSchema = z.strictObject({
  kind: z.literal("bpe"),
  vocabSize: z
    .int()
    .min(256)
    .max(2 ** 20)
    .default(2048)
    .describe("vocabulary size, including special tokens; a short text gives fewer tokens"),
  pattern: z
    .enum(splitPatterns)
    .default("gpt2")
    .describe("rules that split a text into pieces; a token never spans two pieces; gpt4 is also called cl100k"),
  specialTokens: z
    .array(z.string().min(1).max(200))
    .max(1000)
    .default(() => [])
    .describe("names of special tokens, such as <|endoftext|>; an encoded text never contains these tokens"),
});

const sentencePieceSchema = z.strictObject({ kind: z.literal("sentencepiece") });

const huggingFaceSchema = z.strictObject({ kind: z.literal("hugging-face") });

const kinds = z.discriminatedUnion("kind", [charSchema, bpeSchema, sentencePieceSchema, huggingFaceSchema]);

/** The tokenizer of a run, if the configuration does not name another. */
export const defaultTokenizer: TokenizerConfig = { kind: "char" };

/** Configuration of a run's tokenizer. */
export const tokenizerConfigSchema = kinds
  .default(() => defaultTokenizer)
  .describe(
    "kind of tokens: char makes one token per character; bpe learns frequent byte sequences from the text; sentencepiece and hugging-face keep the tokenizer of the weights that training starts from",
  );
/** A token for each distinct character (Unicode code point) of the run's text. */
export interface CharTokenizerConfig {
  /**
   * Kind of tokens: char makes one token per character; bpe learns frequent byte sequences from the text; sentencepiece
   * and hugging-face keep the tokenizer of the weights that training starts from. `char`, `bpe`, `sentencepiece` or
   * `hugging-face`.
   */
  readonly kind: "char";
}
/** Byte-level BPE, learned from the run's training text. */
export interface BpeTokenizerConfig {
  /** Kind of tokens. `bpe`. */
  readonly kind: "bpe";
  /** Vocabulary size, including special tokens. */
  readonly vocabSize: number;
  /** Rules that split a text into pieces. */
  readonly pattern: SplitPattern;
  /** Names of special tokens. */
  readonly specialTokens: readonly string[];
}
/** The tokenizer of the weights that training starts from: SentencePiece's BPE or Unigram. */
export interface SentencePieceTokenizerConfig {
  /** Kind of tokens. `sentencepiece`. */
  readonly kind: "sentencepiece";
}
/** The tokenizer of the weights that training starts from. Foretoken cannot train a tokenizer of this kind. */
export interface HuggingFaceTokenizerConfig {
  /** Kind of tokens. `hugging-face`. */
  readonly kind: "hugging-face";
}
/** A run's tokenizer. */
export type TokenizerConfig =
  | CharTokenizerConfig
  | BpeTokenizerConfig
  | SentencePieceTokenizerConfig
  | HuggingFaceTokenizerConfig;
