/** A token that stands for no text: a sign to the model, as the end of a text. */
export interface SpecialToken {
  readonly id: number;
  /** What it is called, and how it is shown where it is asked for: `<|endoftext|>`. */
  readonly name: string;
}

/** How `decode` and `textStream` show tokens. */
export interface DecodeOptions {
  /** Show special tokens by their names. Default false: they are left out. */
  readonly showSpecialTokens?: boolean | undefined;
}

/**
 * Text to ids and back, without loss on the text that it knows. A token stands for bytes of UTF-8. They may be a part of a
 * character: then only tokens together have a text, so decode many at once, or one after the other with `textStream`.
 */
export interface Tokenizer {
  /** Which kind it is, as a configuration's `tokenizer.kind` names it. */
  readonly kind: string;
  /** Number of ids; every id is an integer in [0, vocabSize). */
  readonly vocabSize: number;
  /** In the order of their ids. Their ids are among the vocabSize; no text is encoded to them. */
  readonly specialTokens: readonly SpecialToken[];
  /** The id of the special token after which a text is over, where generation ends; null: there is none. */
  readonly endOfText: number | null;
  /**
   * The ids of `text`; the caller owns the array. No token is added, no begin, no end, and the name of a special token in
   * the text is text as any other.
   * @param where what `text` is (a file, an option), for the error.
   * @param before what goes before `text` in there, so that the error counts lines from the beginning.
   * @throws DataError for a piece of text that the vocabulary lacks.
   */
  encode(text: string, where?: string, before?: string): Int32Array;
  /**
   * The text of `ids`: `decode(encode(text)) === text`. Bytes that make no character are shown as U+FFFD.
   * @throws DataError for an id outside [0, vocabSize), or what is no list of ids.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * The UTF-8 bytes that one token stands for in a text: of many tokens, put together, those of their text. None for a
   * special token. Do not change them.
   * @throws DataError for an id outside [0, vocabSize).
   */
  bytes(id: number): Uint8Array;
  /**
   * One token as people are shown it: its text, U+FFFD where its bytes are a part of a character, or a special token's
   * name. Texts of tokens do not add up to the text of all of them: that is `decode`.
   * @throws DataError for an id outside [0, vocabSize).
   */
  token(id: number): string;
  /** The contents of `tokenizer.json`, as Hugging Face's `tokenizers` library reads it. */
  toJSON(): unknown;
}
