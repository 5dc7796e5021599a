/** A token that is not text, but a mark for the model, for example the end of a text. */
export interface SpecialToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /** Name of the token for display, for example `<|endoftext|>`. */
  readonly name: string;
}

/** Options of `decode` and `textStream`. */
export interface DecodeOptions {
  /** Whether to show special tokens by their names. By default they are left out. */
  readonly showSpecialTokens?: boolean | undefined;
}

/**
 * Converts text to ids and back. Nothing is lost if the vocabulary contains all characters of the text. A token
 * represents UTF-8 bytes and may be only a part of a character. Therefore decode many tokens at once, or use
 * `textStream` for one token at a time.
 */
export interface Tokenizer {
  /** Kind of the tokenizer, as in `tokenizer.kind` of a configuration. */
  readonly kind: string;
  /** Number of ids. Every id is an integer in [0, vocabSize). */
  readonly vocabSize: number;
  /** Special tokens in the order of their ids. `encode` never returns them. */
  readonly specialTokens: readonly SpecialToken[];
  /** Id of the special token that ends a text and stops generation. Null if there is no such token. */
  readonly endOfText: number | null;
  /**
   * Id of the special token at the beginning of the model's texts (BOS). Null or undefined if the tokenizer has no BOS.
   * `encode` does not add BOS. `generate` adds BOS to prompts, and `evaluate` adds it to windows.
   */
  readonly beginOfText?: number | null | undefined;
  /**
   * Encodes `text`. The caller owns the returned array. No token is added at the beginning or the end. A name of a
   * special token is encoded as ordinary text.
   * @param where name of `text` (a file, an option) in errors.
   * @param before text that precedes `text`, so that errors count lines from the beginning. Some tokenizers add a space
   * at the beginning of a text. After `before`, such a tokenizer adds no space, unless `before` ends with a special
   * token.
   * @throws DataError for characters that the vocabulary lacks, or half of a surrogate pair, which is not valid text.
   * `details.characters` lists the distinct characters.
   */
  encode(text: string, where?: string, before?: string): Int32Array;
  /**
   * Decodes `ids`: `decode(encode(text)) === text`. Bytes that are not a character are shown as U+FFFD.
   * @throws DataError for an id outside [0, vocabSize), or if `ids` is not a list.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * UTF-8 bytes of one token. Empty for a special token. The concatenated bytes of several tokens are the bytes of
   * their text. Do not change the returned bytes.
   * @throws DataError for an id outside [0, vocabSize).
   */
  bytes(id: number): Uint8Array;
  /**
   * Text of one token for display. If the token's bytes are only a part of a character, the text is U+FFFD. For a
   * special token, it is the token's name. Do not concatenate these texts to get a text; use `decode`.
   * @throws DataError for an id outside [0, vocabSize).
   */
  token(id: number): string;
  /** Contents of `tokenizer.json`, as Hugging Face's `tokenizers` library reads it. */
  toJSON(): unknown;
}
