import { checkKeys, checkText } from "../../../core/checks/check-arguments.ts";
import { ConfigError, DataError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import { checkWellFormed } from "../../well-formed.ts";
import { type BpeTokenizer, bpeTokenizer } from "../bpe.ts";
import { bytesInOrder, characterOfByte } from "../byte-alphabet.ts";
import { type SplitPattern, splitPatterns } from "../split/patterns.ts";
import { nextPieceOf } from "../split/split.ts";
import { mostTokens } from "../vocabulary.ts";
import { pieceCounter } from "./count-pieces.ts";
import { learnMerges } from "./learn-merges.ts";

/** Settings of `trainBpeTokenizer`. */
export interface BpeTraining {
  /**
   * Vocabulary size including special tokens. The size must be at least 256 plus the number of special tokens. A short
   * text results in fewer tokens.
   */
  readonly vocabSize: number;
  /** Rules that split a text into pieces. A token never spans two pieces. Default: gpt2. */
  readonly pattern?: SplitPattern | undefined;
  /** Names of special tokens, such as `<|endoftext|>`. Special tokens get the last ids. Default: none. */
  readonly specialTokens?: readonly string[] | undefined;
}

/** Trains a tokenizer on texts that are added one at a time, so that only one text must be in memory. */
export interface BpeTrainer {
  /**
   * Adds a text, as a string or as well-formed UTF-8 bytes. A token never spans two texts.
   * @returns size of the text in bytes.
   */
  add(text: string | Uint8Array): number;
  /** Trains the tokenizer on the texts that were added. @throws DataError if all texts are empty. */
  train(): BpeTokenizer;
}

/** Number of tokens for single bytes. */
const byteTokens = 256;

const checkTraining = (training: BpeTraining): void => {
  const where = "tokenizer";
  if (typeof training !== "object" || training === null) {
    const must = "settings must be an object with vocabSize";
    throw new ConfigError({ where, must, got: show(training), hint: "{ vocabSize: 2048 }" });
  }
  // The field `kind` is allowed, because the configuration of a run contains it.
  checkKeys(where, training, ["kind", "vocabSize", "pattern", "specialTokens"]);
  const { vocabSize, pattern = "gpt2", specialTokens = [] } = training;
  if (!Array.isArray(specialTokens)) {
    throw new ConfigError({ where, must: "specialTokens must be a list of names", got: show(specialTokens) });
  }
  const least = byteTokens + specialTokens.length;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < least || vocabSize > mostTokens) {
    const special = specialTokens.length === 0 ? "" : ` and ${specialTokens.length} special tokens`;
    const must = `vocabSize must be a whole number from ${least} (256 bytes${special}) to ${mostTokens}`;
    throw new ConfigError({ where, must, got: show(vocabSize), hint: String(Math.max(least, 2048)) });
  }
  if (!splitPatterns.includes(pattern)) {
    throw new ConfigError({ where, must: `pattern must be one of ${splitPatterns.join(", ")}`, got: show(pattern) });
  }
  const wrong = specialTokens.findIndex(
    (name, i) => typeof name !== "string" || name === "" || specialTokens.indexOf(name) !== i,
  );
  if (wrong !== -1) {
    throw new ConfigError({
      where,
      must: "names of special tokens must be distinct and not empty",
      got: show(specialTokens[wrong]),
    });
  }
};

/**
 * Creates a trainer of byte-level BPE for texts that are added one at a time. The same texts give the same tokenizer on
 * every machine.
 * @throws ConfigError if the vocabulary is smaller than 256 plus the number of special tokens.
 */
export const bpeTrainer = (training: BpeTraining): BpeTrainer => {
  checkTraining(training);
  const { vocabSize, pattern = "gpt2", specialTokens = [] } = training;
  const counter = pieceCounter(nextPieceOf(pattern));
  const encoder = new TextEncoder();
  return {
    add: (text) => {
      if (!(text instanceof Uint8Array)) {
        checkText("tokenizer", text);
        checkWellFormed("tokenizer", text);
      }
      const bytes = typeof text === "string" ? encoder.encode(text) : text;
      counter.add(bytes);
      return bytes.length;
    },
    train: () => {
      if (counter.pieces.size === 0) {
        throw new DataError({ where: "tokenizer", must: "the text must have at least one character", got: "none" });
      }
      const learned = learnMerges(counter, vocabSize - byteTokens - specialTokens.length);
      const tokens = bytesInOrder.map((byte) => characterOfByte[byte] as string);
      for (const [left, right, merged] of learned) tokens[merged] = `${tokens[left]}${tokens[right]}`;
      const clash = specialTokens.find((name) => tokens.includes(name));
      if (clash !== undefined) {
        const must = "the name of a special token must not also be an ordinary token";
        throw new ConfigError({ where: "tokenizer", must, got: show(clash), hint: show(`<|${clash}|>`) });
      }
      return bpeTokenizer({
        tokens,
        merges: learned.map(([left, right]) => [tokens[left] as string, tokens[right] as string]),
        pattern,
        specialTokens: specialTokens.map((name, i) => ({ id: tokens.length + i, name })),
      });
    },
  };
};

/**
 * Trains a byte-level BPE tokenizer on texts. Repeatedly, the most frequent pair of neighbouring tokens becomes a new
 * token. Among equally frequent pairs, the pair with the lowest ids is chosen. A pair must occur at least twice.
 * @throws ConfigError if the vocabulary is smaller than 256 plus the number of special tokens.
 * @throws DataError if all texts are empty.
 */
export const trainBpeTokenizer = (training: BpeTraining, ...texts: readonly string[]): BpeTokenizer => {
  const trainer = bpeTrainer(training);
  for (const text of texts) trainer.add(text);
  return trainer.train();
};
