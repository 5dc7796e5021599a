/** A token without text: a sign for the model, such as the end of a text. */
export interface SpecialToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /** Its name, shown on request: `<|endoftext|>`. */
  readonly name: string;
}

/** Options of `decode` and `textStream`. */
export interface DecodeOptions {
  /** Show special tokens by their names. Default false: they are left out. */
  readonly showSpecialTokens?: boolean | undefined;
}

/**
 * Text to ids and back, without loss for known text. A token stands for bytes of UTF-8, perhaps a part of a character:
 * then only tokens together have a text, so decode many at once, or one after the other with `textStream`.
 */
export interface Tokenizer {
  /** Its kind, as in a configuration's `tokenizer.kind`. */
  readonly kind: string;
  /** Number of ids; every id is an integer in [0, vocabSize). */
  readonly vocabSize: number;
  /** In the order of their ids, which are below vocabSize; no text is encoded to them. */
  readonly specialTokens: readonly SpecialToken[];
  /** The id of the special token that ends a text, and generation; null if there is none. */
  readonly endOfText: number | null;
  /**
   * The id of the special token that the model's texts begin with (BOS). `encode` does not add it: `generate` begins its
   * prompts with it, and `evaluate` its windows. null, or left out: there is none.
   */
  readonly beginOfText?: number | null | undefined;
  /**
   * The ids of `text`; the caller owns the array. No begin or end token is added, and the name of a special token in the
   * text is ordinary text.
   * @param where the name of `text` (a file, an option) in the error.
   * @param before the text before `text` in there, so that the error counts lines from the beginning. A tokenizer that puts a space
   *   before a text puts none before `text` then, unless the text before ends with a special token.
   * @throws DataError for text that the vocabulary lacks, or half of a surrogate pair, which no text has; its
   *   `details.characters` has every such character once.
   */
  encode(text: string, where?: string, before?: string): Int32Array;
  /**
   * The text of `ids`: `decode(encode(text)) === text`. Bytes that form no character are shown as U+FFFD.
   * @throws DataError for an id outside [0, vocabSize), or if `ids` is not a list.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * The UTF-8 bytes of one token: the bytes of several tokens, joined, are the bytes of their text. None for a special
   * token. Do not change them.
   * @throws DataError for an id outside [0, vocabSize).
   */
  bytes(id: number): Uint8Array;
  /**
   * One token for people: its text, U+FFFD if its bytes are part of a character, or a special token's name. The texts of
   * tokens do not add up to the text of all of them: use `decode` for that.
   * @throws DataError for an id outside [0, vocabSize).
   */
  token(id: number): string;
  /** The contents of `tokenizer.json`, as Hugging Face's `tokenizers` library reads it. */
  toJSON(): unknown;
}
