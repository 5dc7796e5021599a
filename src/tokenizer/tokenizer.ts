/** A token without text, which marks something for the model, for example the end of a text. */
export interface SpecialToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /** Name for display, for example `<|endoftext|>`. */
  readonly name: string;
}

/** Options of `decode` and `textStream`. */
export interface DecodeOptions {
  /** Whether to show special tokens by their names. Default: false, so they are left out. */
  readonly showSpecialTokens?: boolean | undefined;
}

/**
 * Converts text to ids and back. Nothing is lost if the vocabulary has all characters of the text. A token stands for
 * UTF-8 bytes and may be only part of a character. So decode many tokens at once, or one at a time with `textStream`.
 */
export interface Tokenizer {
  /** Kind, as in `tokenizer.kind` of a configuration. */
  readonly kind: string;
  /** Number of ids; every id is an integer in [0, vocabSize). */
  readonly vocabSize: number;
  /** Special tokens in the order of their ids. `encode` never returns them. */
  readonly specialTokens: readonly SpecialToken[];
  /** Id of the special token that ends a text and stops generation; null if there is none. */
  readonly endOfText: number | null;
  /**
   * Id of the special token that the model's texts begin with (BOS); null or undefined if there is none. `encode` does
   * not add it. `generate` adds it to prompts, and `evaluate` adds it to windows.
   */
  readonly beginOfText?: number | null | undefined;
  /**
   * Encodes `text`; the caller owns the returned array. No begin or end token is added. If the name of a special token
   * is in the text, it is encoded as ordinary text.
   * @param where name of `text` (a file, an option) in errors.
   * @param before text that precedes `text`, so that errors count lines from the beginning. It also matters for a
   * tokenizer that adds a space at the beginning of a text: after `before`, it adds no space, unless `before` ends with
   * a special token.
   * @throws DataError for characters that the vocabulary lacks, or half of a surrogate pair, which is not valid text.
   * `details.characters` has the distinct characters.
   */
  encode(text: string, where?: string, before?: string): Int32Array;
  /**
   * Decodes `ids`: `decode(encode(text)) === text`. Bytes that are not a character are shown as U+FFFD.
   * @throws DataError for an id outside [0, vocabSize), or if `ids` is not a list.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * UTF-8 bytes of one token; empty for a special token. The bytes of several tokens, concatenated, are the bytes of
   * their text. Do not change the returned bytes.
   * @throws DataError for an id outside [0, vocabSize).
   */
  bytes(id: number): Uint8Array;
  /**
   * Text of one token for display. It is U+FFFD if the token's bytes are only part of a character, and the name of a
   * special token. Do not concatenate these texts to get a text; use `decode`.
   * @throws DataError for an id outside [0, vocabSize).
   */
  token(id: number): string;
  /** Contents of `tokenizer.json`, as Hugging Face's `tokenizers` library reads it. */
  toJSON(): unknown;
}
