/** Makes all tokenizers: trains one from a configuration, or reads one from its file. */
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
  /** @param val the held-out part. */
  train(config: Extract<TokenizerConfig, { readonly kind: K }>, train: string, val: string): Tokenizer;
  /** Whether `json` is of this kind; `read` then checks the rest. */
  claims(json: unknown): boolean;
  /** @throws CheckpointError naming the field that is damaged. */
  read(json: unknown, where: string): Tokenizer | Promise<Tokenizer>;
  /** The configuration of a tokenizer of this kind. */
  configOf(tokenizer: Tokenizer): Extract<TokenizerConfig, { readonly kind: K }>;
}

/** @throws ConfigError: tokenizers of this kind are not trained here. */
const notTrained = (kind: string): never => {
  const must = `a tokenizer of kind ${kind} comes with the weights that a run begins with`;
  throw new ConfigError({ where: "config.tokenizer", must, got: "no weights", hint: "initFrom, or kind bpe" });
};

const isBpe = (tokenizer: Tokenizer): tokenizer is BpeTokenizer => tokenizer.kind === "bpe";

/** A file is of the first kind that claims it. */
const kinds: { readonly [K in TokenizerConfig["kind"]]: Kind<K> } = {
  char: {
    // Every character gets a token.
    train: (_, train, val) => trainCharTokenizer(train, val),
    claims: isCharTokenizerJson,
    read: (json, where) => {
      const { characters, specialNames } = charVocabularyFromJson(json, where);
      return charTokenizer(characters, specialNames);
    },
    configOf: () => ({ kind: "char" }),
  },
  bpe: {
    // Every text has tokens, so nothing is learned from the held-out part.
    train: (config, train) => trainBpeTokenizer(config, train),
    claims: isByteLevelBpeJson,
    read: (json, where) => {
      const tokenizer = bpeTokenizer(bpePartsOf(json, where), where);
      // Unchanged, with the parts that have no use here.
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
 * The tokenizer of a run's configuration, trained on its text.
 * @param train the part that a model learns from.
 * @param val the held-out part: for kinds that need a token for each character of it.
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

/** The part of a run's configuration that a tokenizer stands for. */
export const tokenizerConfigOf = (tokenizer: Tokenizer): TokenizerConfig => {
  const kind = Object.entries(kinds).find(([name]) => name === tokenizer.kind)?.[1] ?? kinds["hugging-face"];
  return kind.configOf(tokenizer);
};

/**
 * The tokenizer of a parsed `tokenizer.json`, of any kind that Hugging Face's libraries have. `endOfText` is the special
 * token `<|endoftext|>` if there is one: the file does not say more.
 * @param where the file, for errors.
 * @throws CheckpointError if the contents are damaged.
 */
export const loadTokenizer = async (json: unknown, where = "tokenizer.json"): Promise<Tokenizer> => {
  checkText("loadTokenizer: where", where);
  const kind = Object.values(kinds).find(({ claims }) => claims(json)) ?? kinds["hugging-face"];
  return kind.read(json, where);
};
