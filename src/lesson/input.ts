import type { Backend } from "../backend/backend.ts";
import { ConfigError, DataError } from "../core/errors/errors.ts";
import type { Corpus } from "../data/corpus.ts";
import { defaultTokenizer } from "../tokenizer/config.ts";
import { trainTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** The input of every lesson: a text, a line of it to look at closely, and a backend. */
export interface LessonInput {
  /** Opened by the caller; lessons leave it open. */
  readonly backend: Backend;
  /** Its name, and its text in two parts. */
  readonly corpus: Corpus;
  /** Tokenizer of all characters of the corpus. */
  readonly tokenizer: Tokenizer;
  /** The training part as tokens. */
  readonly trainIds: Int32Array;
  /** The held-out part as tokens. */
  readonly valIds: Int32Array;
  /** The line to look at: at least `shortestLine` known tokens. It may have line ends. */
  readonly line: string;
  /** Whether the line is the reader's own; else it is from the held-out part of the corpus. */
  readonly isReadersLine: boolean;
  /** Decides all random numbers: weights, batches, samples. */
  readonly seed: number;
  /** Milliseconds from any start; injected, so that tests show the same times everywhere. */
  readonly clock: () => number;
  /** Aborts the lesson: it then throws the signal's reason. */
  readonly signal: AbortSignal;
}

export interface LessonOptions {
  readonly backend: Backend;
  readonly corpus: Corpus;
  /** The reader's own line; undefined: a line of the corpus. */
  readonly text?: string | undefined;
  /** Name of the reader's line in errors. */
  readonly where?: string;
  readonly seed?: number | undefined;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

/** A line needs one token to see, one to predict, and one to shift by. */
export const shortestLine = 3;

/** Least and most characters of a line that fits a table. */
const fitting = { least: 16, most: 44 };

/**
 * The first line, else the first sentence, else the first part of `text` that is short enough to look at. A line of
 * capitals only would be a heading, and reading begins after the first line end: the text before may be half a sentence.
 */
export const lineToShow = (whole: string): string => {
  // The beginning is enough to find a line, and a line may be as long as the text.
  const text = whole.slice(0, 2 ** 20);
  const isFitting = (line: string): boolean => {
    if (line.length > 2 * fitting.most) return false;
    const { length } = [...line];
    return length >= fitting.least && length <= fitting.most && /\p{Ll}/u.test(line) && /^\p{Lu}[\p{Ll} ]/u.test(line);
  };
  const lines = text.slice(text.indexOf("\n") + 1).split("\n");
  const sentences = (): readonly string[] =>
    // To the end if no sign comes: else the search would begin again at each character of a long line.
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

/** Fails for a text with too little to learn from or to look at. */
const checkLength = (ids: Int32Array, where: string): void => {
  if (ids.length >= shortestLine) return;
  throw new DataError({
    where,
    must: `the text must have at least ${shortestLine} characters`,
    got: String(ids.length),
    hint: "more text",
  });
};

/** Fails for an unsuitable line, in one sentence that says which lines are suitable. */
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
      hint: "a line without it, or --data with a text that has it",
      cause: error,
    });
  }
};

/**
 * Prepares a lesson.
 * @throws ConfigError for a reader's line that is too short, DataError for a character in it that the corpus lacks or
 *   a corpus with too little text.
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
