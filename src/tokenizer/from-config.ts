/** Trains a tokenizer from a configuration, and finds the configuration of a tokenizer. */
import { ConfigError } from "../core/errors/errors.ts";
import type { BpeTokenizer } from "./bpe/bpe.ts";
import { trainBpeTokenizer } from "./bpe/learn/train.ts";
import { trainCharTokenizer } from "./char.ts";
import type { TokenizerConfig } from "./config.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface Kind<K extends TokenizerConfig["kind"]> {
  /** @param val the validation part of the text. */
  train(config: Extract<TokenizerConfig, { readonly kind: K }>, train: string, val: string): Tokenizer;
  /** Configuration of a tokenizer of this kind. */
  configOf(tokenizer: Tokenizer): Extract<TokenizerConfig, { readonly kind: K }>;
}

/** @throws ConfigError, because this kind of tokenizer cannot be trained here. */
const notTrained = (kind: string): never => {
  const must = `a tokenizer of kind ${kind} must come with the weights that training starts from`;
  throw new ConfigError({ where: "config.tokenizer", must, got: "no weights", hint: "initFrom, or kind bpe" });
};

const isBpe = (tokenizer: Tokenizer): tokenizer is BpeTokenizer => tokenizer.kind === "bpe";

const kinds: { readonly [K in TokenizerConfig["kind"]]: Kind<K> } = {
  char: {
    // The training part and the validation part are both used, so that every character gets a token.
    train: (_, train, val) => trainCharTokenizer(train, val),
    configOf: () => ({ kind: "char" }),
  },
  bpe: {
    // The validation part is not used, because the byte tokens can represent any text.
    train: (config, train) => trainBpeTokenizer(config, train),
    configOf: (tokenizer) => ({
      kind: "bpe",
      vocabSize: tokenizer.vocabSize,
      pattern: isBpe(tokenizer) ? tokenizer.pattern : "gpt2",
      specialTokens: tokenizer.specialTokens.map(({ name }) => name),
    }),
  },
  sentencepiece: {
    train: () => notTrained("sentencepiece"),
    configOf: () => ({ kind: "sentencepiece" }),
  },
  "hugging-face": {
    train: () => notTrained("hugging-face"),
    configOf: () => ({ kind: "hugging-face" }),
  },
};

/**
 * Trains the tokenizer of a run's configuration on the run's text.
 * @param train the training part.
 * @param val the validation part. Some kinds need a token for each character of it.
 * @throws DataError for a text that this kind cannot represent.
 */
export const trainTokenizer = <K extends TokenizerConfig["kind"]>(
  config: Extract<TokenizerConfig, { readonly kind: K }>,
  train: string,
  val = "",
): Tokenizer => {
  const kind: Kind<K> = kinds[config.kind as K];
  return kind.train(config, train, val);
};

/** The configuration of a tokenizer that exists already. */
export const tokenizerConfigOf = (tokenizer: Tokenizer): TokenizerConfig => {
  const kind = Object.entries(kinds).find(([name]) => name === tokenizer.kind)?.[1] ?? kinds["hugging-face"];
  return kind.configOf(tokenizer);
};
