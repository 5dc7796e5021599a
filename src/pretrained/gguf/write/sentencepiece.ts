/** Writes a SentencePiece tokenizer as metadata fields of a GGUF file. ../sentencepiece.ts reads them. */
import { ConfigError } from "../../../core/errors/errors.ts";
import { f32s, flag, type TypedValue, u8s, u32 } from "../../../io/gguf/metadata.ts";
import { rulesOf } from "../../../tokenizer/sentencepiece/encoder.ts";
import {
  isFound,
  kinds,
  type SentencePieceParts,
  type Vocabulary,
  vocabularyOf,
} from "../../../tokenizer/sentencepiece/parts.ts";
import { spaceSign } from "../../../tokenizer/sentencepiece/space-sign.ts";
import type { TextStep } from "../../../tokenizer/sentencepiece/steps.ts";
import { mergesOfScores } from "../../../tokenizer/sentencepiece/to-json.ts";

const fail = (where: string, got: string): never => {
  throw new ConfigError({ where, must: "the tokenizer must have rules that llama.cpp supports", got });
};

/** Fields for the normalization of a text before it is divided into tokens. */
interface Switches {
  readonly addSpacePrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly charsmap: Uint8Array | undefined;
}

/** SentencePiece's normalization fields for these steps. @throws ConfigError for a step that no field can express. */
const switchesOf = (steps: readonly TextStep[], model: string, where: string): Switches => {
  const has = (kind: TextStep["kind"]): boolean => steps.some((step) => step.kind === kind);
  const isKnown = (step: TextStep): boolean => {
    switch (step.kind) {
      case "replace":
        return step.from === " " && step.to === spaceSign;
      case "prepend":
        return step.text === spaceSign;
      case "metaspace":
        return true;
      // llama.cpp does these steps only for Unigram.
      case "precompiled":
      case "strip":
        return model === "t5";
      case "collapse":
        return model === "t5" && (step.to === " " || step.to === spaceSign);
      case "unicode":
        return false;
      default:
        return step satisfies never;
    }
  };
  const other = steps.find((step) => !isKnown(step));
  if (other !== undefined) return fail(where, `the normalizer ${other.kind}`);
  const charsmap = steps.find((step) => step.kind === "precompiled")?.charsmap.bytes;
  const prefixed = steps.some((step) => step.kind === "metaspace" && step.prefix !== "never");
  return { addSpacePrefix: has("prepend") || prefixed, removeExtraWhitespaces: has("collapse"), charsmap };
};

/**
 * Token scores that reproduce a list of merges. The score of a token is −i if merge i is the first merge that makes the
 * token. Tokens that no merge makes get lower scores.
 */
const scoresOfMerges = (parts: SentencePieceParts, vocabulary: Vocabulary, where: string): readonly number[] => {
  const rules = rulesOf(parts, vocabulary, where);
  const places = new Map<number, number>();
  for (const [rule, token] of rules.token.entries()) {
    const place = rules.order[rule] as number;
    if (!places.has(token) || place < (places.get(token) as number)) places.set(token, place);
  }
  let last = rules.order.reduce((most, place) => Math.max(most, place), 0);
  const scores = parts.tokens.map((_, id) => (isFound(parts.kinds[id]) ? -(places.get(id) ?? ++last) : 0));
  // With scores, the tokenizer merges every pair of tokens that forms a token. So the scores reproduce the list only if
  // the list contains all these pairs in the order of the scores.
  const all = mergesOfScores(parts, scores);
  const isSame = all.every(([left, right]) => {
    const rule = rules.find(vocabulary.ids.get(left as string) ?? -1, vocabulary.ids.get(right as string) ?? -1);
    return rule !== -1 && -(rules.order[rule] as number) === scores[rules.token[rule] as number];
  });
  return isSame ? scores : fail(where, "merges that token scores cannot reproduce");
};

/** The tokens in a file, and fields that only SentencePiece tokenizers have. */
export interface SentencePieceFields {
  readonly model: "llama" | "t5";
  readonly tokens: readonly string[];
  /** Type of each token, with GGUF's numbers. */
  readonly types: readonly number[];
  readonly rest: Readonly<Record<string, TypedValue>>;
  /** A token that never occurs in a text, because its byte never occurs in UTF-8. */
  readonly never?: number;
}

/**
 * @param vocabSize number of rows of the embedding. Ids without a token get a placeholder.
 * @throws ConfigError for rules that llama.cpp does not have.
 */
export const sentencePieceFields = (
  parts: SentencePieceParts,
  vocabSize: number,
  where: string,
): SentencePieceFields => {
  const { division, steps, splitsWords } = parts;
  const model = division.kind === "unigram" ? "t5" : "llama";
  const { addSpacePrefix, removeExtraWhitespaces, charsmap } = switchesOf(steps, model, where);
  const vocabulary = vocabularyOf(parts, where);
  const reaches = (token: string): boolean => token.lastIndexOf(spaceSign) > 0;
  if (splitsWords && [...vocabulary.ids.keys()].some(reaches))
    fail(where, "tokens that span several words, although text is split into words");
  const scores = division.kind === "merges" ? scoresOfMerges(parts, vocabulary, where) : Array.from(division.scores);
  const ids = Array.from({ length: vocabSize }, (_, id) => id);
  const never = vocabulary.bytes?.[0xff];
  return {
    model,
    tokens: ids.map((id) => parts.tokens[id] || `[PAD${id}]`),
    types: ids.map((id) => (parts.tokens[id] ? (parts.kinds[id] as number) : kinds.unused)),
    rest: {
      "tokenizer.ggml.scores": f32s(ids.map((id) => scores[id] ?? 0)),
      "tokenizer.ggml.add_space_prefix": flag(addSpacePrefix),
      "tokenizer.ggml.remove_extra_whitespaces": flag(removeExtraWhitespaces),
      ...(charsmap === undefined ? {} : { "tokenizer.ggml.precompiled_charsmap": u8s(charsmap) }),
      ...(vocabulary.unknown === undefined ? {} : { "tokenizer.ggml.unknown_token_id": u32(vocabulary.unknown) }),
    },
    ...(never === undefined ? {} : { never }),
  };
};
