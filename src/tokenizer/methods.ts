/** What every tokenizer does: text to ids and back, without loss on the text that it knows. */
export interface TokenizerMethods {
  /** Number of ids; every id is an integer in [0, vocabSize). */
  readonly vocabSize: number;
  /**
   * The ids of `text`; the caller owns the array. No token is added: no begin, no end.
   * @param where what `text` is (a file, an option), for the error.
   * @param before what goes before `text` in there, so that the error counts lines from the beginning.
   * @throws DataError for a piece of text that the vocabulary lacks.
   */
  encode(text: string, where?: string, before?: string): Int32Array;
  /** The text of `ids`: `decode(encode(text)) === text`. @throws DataError for an id outside [0, vocabSize). */
  decode(ids: Iterable<number>): string;
  /** The text of one token. @throws DataError as `decode`. */
  token(id: number): string;
  /** The contents of `tokenizer.json`, as Hugging Face's `tokenizers` library reads it. */
  toJSON(): unknown;
}
