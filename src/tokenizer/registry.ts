/** Makes all tokenizers. A tokenizer is trained from a configuration or read from a file. */
import { checkText } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { beginOfJson } from "./begin.ts";
import { type BpeTokenizer, bpeTokenizer } from "./bpe/bpe.ts";
import { trainBpeTokenizer } from "./bpe/learn/train.ts";
import { bpePartsOf, isByteLevelBpeJson } from "./bpe/read-json.ts";
import { charTokenizer, trainCharTokenizer } from "./char.ts";
import type { TokenizerConfig } from "./config.ts";
import { huggingFaceTokenizer } from "./hugging-face.ts";
import { isSentencePieceJson, sentencePiecePartsOf } from "./sentencepiece/read-json.ts";
import { sentencePieceTokenizer } from "./sentencepiece/sentencepiece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { charVocabularyFromJson, isCharTokenizerJson } from "./tokenizer-json.ts";

interface Kind<K extends TokenizerConfig["kind"]> {
  /** @param val the validation part of the text. */
  train(config: Extract<TokenizerConfig, { readonly kind: K }>, train: string, val: string): Tokenizer;
  /** Whether `json` is a tokenizer of this kind. `read` checks all further contents. */
  claims(json: unknown): boolean;
  /** @throws CheckpointError naming the damaged field. */
  read(json: unknown, where: string): Tokenizer | Promise<Tokenizer>;
  /** Configuration of a tokenizer of this kind. */
  configOf(tokenizer: Tokenizer): Extract<TokenizerConfig, { readonly kind: K }>;
}

/** @throws ConfigError, because this kind of tokenizer cannot be trained here. */
const notTrained = (kind: string): never => {
  const must = `a tokenizer of kind ${kind} must come with the weights that training starts from`;
  throw new ConfigError({ where: "config.tokenizer", must, got: "no weights", hint: "initFrom, or kind bpe" });
};

const isBpe = (tokenizer: Tokenizer): tokenizer is BpeTokenizer => tokenizer.kind === "bpe";

/** All kinds. A file belongs to the first kind that accepts it. */
const kinds: { readonly [K in TokenizerConfig["kind"]]: Kind<K> } = {
  char: {
    // The training part and the validation part are both used, so that every character gets a token.
    train: (_, train, val) => trainCharTokenizer(train, val),
    claims: isCharTokenizerJson,
    read: (json, where) => {
      const { characters, specialNames } = charVocabularyFromJson(json, where);
      return charTokenizer(characters, specialNames);
    },
    configOf: () => ({ kind: "char" }),
  },
  bpe: {
    // The validation part is not used, because the byte tokens can represent any text.
    train: (config, train) => trainBpeTokenizer(config, train),
    claims: isByteLevelBpeJson,
    read: (json, where) => {
      const tokenizer = bpeTokenizer(bpePartsOf(json, where), where);
      // `toJSON` returns the file unchanged, including parts that Foretoken does not use.
      return { ...tokenizer, beginOfText: beginOfJson(json, tokenizer.specialTokens), toJSON: () => json };
    },
    configOf: (tokenizer) => ({
      kind: "bpe",
      vocabSize: tokenizer.vocabSize,
      pattern: isBpe(tokenizer) ? tokenizer.pattern : "gpt2",
      specialTokens: tokenizer.specialTokens.map(({ name }) => name),
    }),
  },
  sentencepiece: {
    train: () => notTrained("sentencepiece"),
    claims: isSentencePieceJson,
    read: (json, where) => sentencePieceTokenizer(sentencePiecePartsOf(json, where), where, json),
    configOf: () => ({ kind: "sentencepiece" }),
  },
  "hugging-face": {
    train: () => notTrained("hugging-face"),
    claims: () => true,
    read: huggingFaceTokenizer,
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

/**
 * Makes the tokenizer of a parsed `tokenizer.json`, of any kind that Hugging Face's libraries support. The file does
 * not say which token ends a text. `endOfText` is therefore the special token `<|endoftext|>`, if the file contains it.
 * @param where the file, for errors.
 * @throws CheckpointError if the contents are damaged.
 */
export const loadTokenizer = async (json: unknown, where = "tokenizer.json"): Promise<Tokenizer> => {
  checkText("loadTokenizer: where", where);
  const kind = Object.values(kinds).find(({ claims }) => claims(json)) ?? kinds["hugging-face"];
  return kind.read(json, where);
};
