/** Makes all tokenizers: trains one from a configuration, or reads one from its file. */
import { alternatives } from "../core/alternatives.ts";
import { CheckpointError } from "../core/errors.ts";
import { show } from "../core/show.ts";
import { charTokenizer, trainCharTokenizer } from "./char.ts";
import type { TokenizerConfig } from "./config.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { charVocabularyFromJson, isCharTokenizerJson } from "./tokenizer-json.ts";

interface Kind<K extends TokenizerConfig["kind"]> {
  /** Description of this kind's `tokenizer.json`, for the error of a file of no known kind. */
  readonly means: string;
  train(config: Extract<TokenizerConfig, { readonly kind: K }>, texts: readonly string[]): Tokenizer;
  /** Whether `json` claims to be of this kind; `read` then checks the rest. */
  claims(json: unknown): boolean;
  /** @throws CheckpointError naming the field that is damaged. */
  read(json: unknown, where: string): Tokenizer;
}

const kinds: { readonly [K in TokenizerConfig["kind"]]: Kind<K> } = {
  char: {
    means: "character-level: a WordLevel model over single characters",
    train: (_, texts) => trainCharTokenizer(...texts),
    claims: isCharTokenizerJson,
    read: (json, where) => {
      const { characters, specialNames } = charVocabularyFromJson(json, where);
      return charTokenizer(characters, specialNames);
    },
  },
};

/**
 * The tokenizer of a run's configuration, trained on its text.
 * @param texts a corpus's parts, held-out parts included: every character gets a token.
 * @throws DataError for a text that this kind cannot represent.
 */
export const trainTokenizer = (config: TokenizerConfig, ...texts: readonly string[]): Tokenizer =>
  kinds[config.kind].train(config, texts);

/** The type of a `tokenizer.json`'s model, for the error of a file of no known kind. */
const describeModel = (json: unknown): string => {
  const model = typeof json === "object" && json !== null && "model" in json ? json.model : undefined;
  const type = typeof model === "object" && model !== null && "type" in model ? model.type : undefined;
  return typeof type === "string" ? `a model of type ${show(type)}` : "JSON that names no model";
};

/**
 * The tokenizer of a parsed `tokenizer.json`.
 * @param where the file, for errors.
 * @throws CheckpointError if its kind is unknown, or the contents are damaged.
 */
export const loadTokenizer = (json: unknown, where = "tokenizer.json"): Tokenizer => {
  const kind = Object.values(kinds).find(({ claims }) => claims(json));
  if (kind !== undefined) return kind.read(json, where);
  throw new CheckpointError({
    where,
    must: `the tokenizer must be ${alternatives(Object.values(kinds).map(({ means }) => means))}`,
    got: describeModel(json),
    hint: "a checkpoint that foretoken wrote",
  });
};
