import type { Backend } from "../backend/backend.ts";
import { ConfigError, DataError } from "../core/errors/errors.ts";
import type { Corpus } from "../data/corpus.ts";
import { defaultTokenizer } from "../tokenizer/config.ts";
import { trainTokenizer } from "../tokenizer/from-config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Input of every lesson: a text, an example line, a backend and settings. */
export interface LessonInput {
  /** The backend. The caller opens and closes it. */
  readonly backend: Backend;
  /** Name of the text, its training part and its held-out part. */
  readonly corpus: Corpus;
  /** Tokenizer with one token for each character of the corpus. */
  readonly tokenizer: Tokenizer;
  /** Token ids of the training part. */
  readonly trainIds: Int32Array;
  /** Token ids of the held-out part. */
  readonly valIds: Int32Array;
  /** Example line: at least `shortestLine` known tokens. The line may contain line ends. */
  readonly line: string;
  /** Whether the line is the reader's own. Otherwise the line is from the held-out part of the corpus. */
  readonly isReadersLine: boolean;
  /** Seed of all random numbers: weights, batches, samples. */
  readonly seed: number;
  /**
   * Returns milliseconds since a fixed time. Tests pass their own clock, so that they show the same times on every
   * machine.
   */
  readonly clock: () => number;
  /** Aborts the lesson. The lesson then throws the signal's reason. */
  readonly signal: AbortSignal;
}

export interface LessonOptions {
  readonly backend: Backend;
  readonly corpus: Corpus;
  /** The reader's own line. Default: a line of the corpus. */
  readonly text?: string | undefined;
  /** Name of the reader's line in errors. */
  readonly where?: string;
  readonly seed?: number | undefined;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

/**
 * A line must have three tokens: one token to see, one token to predict, and one more token so that x and y have two
 * positions.
 */
export const shortestLine = 3;

/** Minimum and maximum number of characters of a line that fits a table. */
const fitting = { least: 16, most: 44 };

/**
 * Chooses an example from `text`: the first short line. If there is none, the first short sentence; if there is none,
 * the first short part. Skips lines in capitals, because they are headings. Starts after the first line end, because
 * the text before it may be half a sentence.
 */
export const lineToShow = (whole: string): string => {
  // Only the beginning of the text is searched. This is enough, and it is fast even in a very long line.
  const text = whole.slice(0, 2 ** 20);
  const isFitting = (line: string): boolean => {
    if (line.length > 2 * fitting.most) return false;
    const { length } = [...line];
    return length >= fitting.least && length <= fitting.most && /\p{Ll}/u.test(line) && /^\p{Lu}[\p{Ll} ]/u.test(line);
  };
  const lines = text.slice(text.indexOf("\n") + 1).split("\n");
  const sentences = (): readonly string[] =>
    // The pattern also matches a sentence that ends with the line. If it did not, the search would restart at every
    // character of a long line.
    lines.flatMap((line) => line.match(/[^.!?]+(?:[.!?]+|$)/gu) ?? []).filter((s) => /[.!?]$/u.test(s));
  const found =
    lines.map((line) => line.trim()).find(isFitting) ??
    sentences()
      .map((s) => s.trim())
      .find(isFitting);
  return (
    found ?? [...(lines.find((line) => [...line].length >= fitting.least) ?? text)].slice(0, fitting.most).join("")
  );
};

/** Throws if the text is too short for training or for an example. */
const checkLength = (ids: Int32Array, where: string): void => {
  if (ids.length >= shortestLine) return;
  throw new DataError({
    where,
    must: `the text must have at least ${shortestLine} characters`,
    got: String(ids.length),
    hint: "more text",
  });
};

/** Throws if the line cannot be used. The error says which lines can be used. */
const checkLine = (line: string, tokenizer: Tokenizer, corpus: Corpus, where: string): void => {
  try {
    const { length } = tokenizer.encode(line, where);
    if (length >= shortestLine) return;
    const got = JSON.stringify(line);
    throw new ConfigError({ where, must: `must have at least ${shortestLine} characters`, got, hint: "a whole line" });
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { got } = error.details;
    throw new DataError({
      where,
      must: `every character must be one of the ${tokenizer.vocabSize} in ${corpus.name}`,
      ...(got === undefined ? {} : { got }),
      hint: "a line without this character, or --data with a text that has it",
      cause: error,
    });
  }
};

/**
 * Prepares the input of a lesson.
 * @throws ConfigError if the reader's line is too short. DataError if the line has a character that is not in the
 * corpus, or if the corpus is too short.
 */
export const lessonInput = (options: LessonOptions): LessonInput => {
  const { backend, corpus, text, where = "text", seed = 1, clock, signal } = options;
  const tokenizer = trainTokenizer(defaultTokenizer, corpus.train, corpus.val);
  const trainIds = tokenizer.encode(corpus.train);
  const valIds = tokenizer.encode(corpus.val);
  checkLength(trainIds, `${corpus.name}, training part`);
  checkLength(valIds, `${corpus.name}, held-out part`);
  if (text !== undefined) checkLine(text, tokenizer, corpus, where);
  const line = text ?? lineToShow(corpus.val);
  return { backend, corpus, tokenizer, trainIds, valIds, line, isReadersLine: text !== undefined, seed, clock, signal };
};
