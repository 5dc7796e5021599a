/** Reads the `tokenizer.json` of a byte-level BPE, if Foretoken's own encoder supports it. */

import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { shorten, show } from "../../core/text/show.ts";
import type { SpecialToken } from "../tokenizer.ts";
import { characterOfByte } from "./byte-alphabet.ts";
import type { BpeParts, MergeRule } from "./parts.ts";
import { patternOfJson } from "./split/patterns.ts";
import { mostTokens } from "./vocabulary.ts";

/** Fields of a BPE model that Foretoken's encoder does not support. */
const foreignFields = ["continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"];

/**
 * Whether every byte has a token. Some files name an unknown token. If every byte has a token, the unknown token never
 * occurs.
 */
const hasEveryByte = (vocab: unknown): boolean =>
  isRecord(vocab) && characterOfByte.every((character) => Object.hasOwn(vocab, character));

const isPlainModel = (model: unknown): model is Record<string, unknown> =>
  isRecord(model) &&
  // Old files do not contain the type.
  (model.type ?? "BPE") === "BPE" &&
  "merges" in model &&
  foreignFields.every((field) => !model[field]) &&
  (!model.unk_token || hasEveryByte(model.vocab));

/**
 * Whether the name of an added token is matched exactly as it is written. The name is then also found inside a word,
 * and spaces around it do not belong to it.
 */
export const isExact = (added: Record<string, unknown>, hasNormalizer: boolean): boolean =>
  !added.single_word && !added.lstrip && !added.rstrip && !(hasNormalizer && added.normalized);

const isKnownNormalizer = (normalizer: unknown): boolean =>
  normalizer === null || normalizer === undefined || (isRecord(normalizer) && normalizer.type === "NFC");

/** Whether Foretoken's encoder gives the same ids as the `tokenizers` library. */
export const isByteLevelBpeJson = (json: unknown): boolean => {
  if (!isRecord(json) || !isPlainModel(json.model) || !isKnownNormalizer(json.normalizer)) return false;
  if (!isRecord(json.decoder) || json.decoder.type !== "ByteLevel") return false;
  if (patternOfJson(json.pre_tokenizer) === undefined) return false;
  const added = json.added_tokens ?? [];
  return (
    Array.isArray(added) &&
    added.every((one) => !isRecord(one) || one.special === true || isExact(one, !!json.normalizer))
  );
};

const fail = (where: string, must: string, got: unknown): never => {
  throw new CheckpointError({ where, must, got: show(got) });
};

/** Tokens in the order of their ids; "" for an id without a token. @throws CheckpointError */
export const tokensOf = (vocab: unknown, where: string): readonly string[] => {
  if (!isRecord(vocab)) return fail(where, "model.vocab must be an object", vocab);
  const entries = Object.entries(vocab);
  let size = 0;
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= mostTokens || id >= 2 * entries.length) {
      return fail(
        where,
        `model.vocab.${shorten(token)} must be an id from 0 to at most twice the number of tokens`,
        id,
      );
    }
    size = Math.max(size, id + 1);
  }
  const tokens = new Array<string>(size).fill("");
  for (const [token, id] of entries) {
    const at = id as number;
    if (tokens[at] !== "") fail(where, `ids in model.vocab must be distinct; ${show(tokens[at])} has the same id`, id);
    tokens[at] = token;
  }
  return tokens;
};

const isPair = (rule: unknown): rule is readonly [string, string] =>
  Array.isArray(rule) && rule.length === 2 && rule.every((part) => typeof part === "string");

export const checkMerges = (merges: unknown, where: string): readonly MergeRule[] => {
  if (!Array.isArray(merges)) return fail(where, "model.merges must be a list", merges);
  for (const [i, rule] of merges.entries()) {
    if (typeof rule !== "string" && !isPair(rule)) fail(where, `model.merges.${i} must be a pair of tokens`, rule);
  }
  return merges as readonly MergeRule[];
};

/** Special tokens and other tokens in `added_tokens`. @throws CheckpointError */
export const addedOf = (
  json: unknown,
  where: string,
): { readonly specialTokens: readonly SpecialToken[]; readonly namedTokens: readonly SpecialToken[] } => {
  const specialTokens: SpecialToken[] = [];
  const namedTokens: SpecialToken[] = [];
  for (const [i, added] of (Array.isArray(json) ? json : []).entries()) {
    if (!isRecord(added)) return fail(where, `added_tokens.${i} must be an object`, added);
    const { id, content: name, special } = added;
    if (typeof name !== "string" || name === "") return fail(where, `added_tokens.${i}.content must be a string`, name);
    if (typeof id !== "number") return fail(where, `added_tokens.${i}.id must be a number`, id);
    (special === true ? specialTokens : namedTokens).push({ id, name });
  }
  return { specialTokens, namedTokens };
};

/** Parts of a tokenizer that `isByteLevelBpeJson` accepts. @throws CheckpointError naming the damaged field. */
export const bpePartsOf = (json: unknown, where: string): BpeParts => {
  const file = json as Record<string, unknown>;
  const model = file.model as Record<string, unknown>;
  const pattern = patternOfJson(file.pre_tokenizer) ?? "gpt2";
  const ignoreMerges = model.ignore_merges === true;
  return {
    tokens: tokensOf(model.vocab, where),
    merges: checkMerges(model.merges, where),
    // The patterns gpt4 and llama3 have the same regular expression. With llama3 only, a piece that equals a token
    // becomes this token without merges.
    pattern: pattern === "gpt4" && ignoreMerges ? "llama3" : pattern,
    ...addedOf(file.added_tokens, where),
    ignoreMerges,
    normalizer: isRecord(file.normalizer) ? "NFC" : undefined,
  };
};
