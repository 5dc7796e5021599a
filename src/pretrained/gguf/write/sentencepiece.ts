/** A SentencePiece tokenizer as fields of a GGUF file; ../sentencepiece.ts reads them. */
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
  throw new ConfigError({ where, must: "the tokenizer must have rules that llama.cpp has a name for", got });
};

/** What a file says of a text before tokens are looked for. */
interface Switches {
  readonly addSpacePrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly charsmap: Uint8Array | undefined;
}

/** SentencePiece's switches that stand for these steps. @throws ConfigError for steps that no switch stands for. */
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
      // llama.cpp does these for Unigram alone.
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

/** Scores that stand for a list of merges: the place of the first merge that makes a token, negative; below them all others. */
const scoresOfMerges = (parts: SentencePieceParts, vocabulary: Vocabulary, where: string): readonly number[] => {
  const rules = rulesOf(parts, vocabulary, where);
  const places = new Map<number, number>();
  for (const [rule, token] of rules.token.entries()) {
    const place = rules.order[rule] as number;
    if (!places.has(token) || place < (places.get(token) as number)) places.set(token, place);
  }
  let last = rules.order.reduce((most, place) => Math.max(most, place), 0);
  const scores = parts.tokens.map((_, id) => (isFound(parts.kinds[id]) ? -(places.get(id) ?? ++last) : 0));
  // By scores all pairs of tokens that make a token merge: the list must have them all, in this order.
  const all = mergesOfScores(parts, scores);
  const isSame = all.every(([left, right]) => {
    const rule = rules.find(vocabulary.ids.get(left as string) ?? -1, vocabulary.ids.get(right as string) ?? -1);
    return rule !== -1 && -(rules.order[rule] as number) === scores[rules.token[rule] as number];
  });
  return isSame ? scores : fail(where, "merges that scores of tokens cannot stand for");
};

/** Tokens in a file, and the fields that are a tokenizer's own. */
export interface SentencePieceFields {
  readonly model: "llama" | "t5";
  readonly tokens: readonly string[];
  /** The kind of each, as the file numbers them. */
  readonly types: readonly number[];
  readonly rest: Readonly<Record<string, TypedValue>>;
  /** A token that no text has: of a byte that UTF-8 never has. */
  readonly never?: number;
}

/**
 * @param vocabSize rows of the embedding: ids without a token are filled.
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
    fail(where, "words that are cut where tokens reach over");
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
