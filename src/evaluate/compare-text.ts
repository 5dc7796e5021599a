/** Compares how two models encode texts: tokens, merges, ids of texts, ids that end a text, and chat templates. */

import { DataError } from "../core/errors/errors.ts";
import type { ChatTemplate, LanguageModel } from "../pretrained/model/language-model.ts";
import { bpePartsOf, isByteLevelBpeJson } from "../tokenizer/bpe/read-json.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { endOfTextName } from "../tokenizer/tokenizer-json.ts";

/** A token of a comparison. */
export interface ComparedToken {
  /** Text of the token. If its bytes are not valid text, they are written as `bytes e2 80`. */
  readonly text: string;
  /** Whether it is a special token. Plain text is never encoded to special tokens. */
  readonly special: boolean;
}

/** Only one of the two models has a tokenizer. */
export interface TokenizerDifference {
  /** Kind of difference. */
  readonly kind: "tokenizer";
  /** Kind of the first model's tokenizer. */
  readonly tokenizer: string;
  /** Kind of the second model's tokenizer. */
  readonly otherTokenizer: string;
}

/** Two models have different tokens for one id. */
export interface TokenDifference {
  /** Kind of difference. */
  readonly kind: "token";
  /** The id. */
  readonly id: number;
  /** The first model's token, or null if the first model has no token for the id. */
  readonly token: ComparedToken | null;
  /** The second model's token, or null if the second model has no token for the id. */
  readonly otherToken: ComparedToken | null;
}

/** Two models have different merge rules. */
export interface MergeDifference {
  /** Kind of difference. */
  readonly kind: "merge";
  /** Index of the rule, from 0. */
  readonly index: number;
  /** The first model's rule, or null if the first model has fewer rules. */
  readonly merge: string | null;
  /** The second model's rule, or null if the second model has fewer rules. */
  readonly otherMerge: string | null;
}

/** Two models encode a text to different ids. */
export interface IdsDifference {
  /** Kind of difference. */
  readonly kind: "ids";
  /** The text. */
  readonly text: string;
  /** First index with different ids, from 0. */
  readonly index: number;
  /** The first model's id at this index. Null if the first model has fewer ids, or cannot encode the text. */
  readonly id: number | null;
  /** The second model's id at this index. Null if the second model has fewer ids, or cannot encode the text. */
  readonly otherId: number | null;
}

/** Two models have different ids that end a text. */
export interface EndTokensDifference {
  /** Kind of difference. */
  readonly kind: "endTokens";
  /** The first model's ids, in ascending order. */
  readonly endTokens: readonly number[];
  /** The second model's ids, in ascending order. */
  readonly otherEndTokens: readonly number[];
}

/** Two models have different chat templates. */
export interface ChatTemplateDifference {
  /** Kind of difference. */
  readonly kind: "chatTemplate";
  /** First line that differs, counted from 1. */
  readonly line: number;
  /** This line of the first model's template. Null if the template is shorter or does not exist. */
  readonly text: string | null;
  /** This line of the second model's template. Null if the template is shorter or does not exist. */
  readonly otherText: string | null;
}

/** Two models have the same chat template, but different tokens for a name in the template. */
export interface TemplateTokenDifference {
  /** Kind of difference. */
  readonly kind: "templateToken";
  /** The name. */
  readonly name: "bos_token" | "eos_token";
  /** The first model's token. */
  readonly token: string;
  /** The second model's token. */
  readonly otherToken: string;
}

/** The first difference in how two models encode texts. Fields that begin with `other` belong to the second model. */
export type TextDifference =
  | TokenizerDifference
  | TokenDifference
  | MergeDifference
  | IdsDifference
  | EndTokensDifference
  | ChatTemplateDifference
  | TemplateTokenDifference;

/** The parts of a model that determine how it encodes texts. */
export type TextTaker = Pick<LanguageModel, "tokenizer" | "endTokens" | "chatTemplate">;

type Pair = readonly [TextTaker, TextTaker];

/**
 * A text with numbers, contractions, spaces, line ends and other scripts, because tokenizers split them differently.
 */
const probe = "It's 2024; we'll  say 12345.\r\n\n\tif (x != 0) { é = \"日本語\" }   // 😀 DON'T\n";

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

const textOf = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes ${hexOf(bytes)}`;
  }
};

/** The token of an id. Null for an unused id. Some files contain `[PAD…]` for unused ids. */
const tokensOf = (tokenizer: Tokenizer): ((id: number) => ComparedToken | null) => {
  const names = new Map(tokenizer.specialTokens.map(({ id, name }) => [id, name]));
  return (id) => {
    const name = names.get(id);
    if (name !== undefined) return { text: name, special: true };
    const text = id < tokenizer.vocabSize ? textOf(tokenizer.bytes(id)) : "";
    return text === "" || text === `[PAD${id}]` ? null : { text, special: false };
  };
};

const compareTokens = ([one, other]: Pair): TextDifference | null => {
  const [tokenOf, otherOf] = [tokensOf(one.tokenizer), tokensOf(other.tokenizer)];
  const count = Math.max(one.tokenizer.vocabSize, other.tokenizer.vocabSize);
  for (let id = 0; id < count; id++) {
    const [token, otherToken] = [tokenOf(id), otherOf(id)];
    if (token?.text === otherToken?.text && token?.special === otherToken?.special) continue;
    return { kind: "token", id, token, otherToken };
  }
  return null;
};

/** First index at which two lists differ. Undefined if the lists are equal. */
const firstOther = <Item>(items: ArrayLike<Item>, others: ArrayLike<Item>): number | undefined => {
  const length = Math.max(items.length, others.length);
  for (let i = 0; i < length; i++) if (items[i] !== others[i]) return i;
  return undefined;
};

/** The merge rules of byte-level BPE, in order. Undefined for other tokenizers. */
const mergesOf = (tokenizer: Tokenizer): readonly string[] | undefined => {
  const json = tokenizer.kind === "bpe" ? tokenizer.toJSON() : undefined;
  if (!isByteLevelBpeJson(json)) return undefined;
  const { merges } = bpePartsOf(json, "tokenizer");
  return merges.map((rule) => (typeof rule === "string" ? rule : rule.join(" ")));
};

const compareMerges = ([one, other]: Pair): TextDifference | null => {
  const [merges, others] = [mergesOf(one.tokenizer), mergesOf(other.tokenizer)];
  if (merges === undefined || others === undefined) return null;
  const index = firstOther(merges, others);
  if (index === undefined) return null;
  return { kind: "merge", index, merge: merges[index] ?? null, otherMerge: others[index] ?? null };
};

/** The ids of a text. Null if the vocabulary lacks a character of the text, or the model has no tokenizer. */
export const idsOrNull = ({ tokenizer }: TextTaker, text: string): Int32Array | null => {
  try {
    return tokenizer.encode(text);
  } catch (error) {
    if (error instanceof DataError) return null;
    throw error;
  }
};

const compareIds = ([one, other]: Pair, text: string): TextDifference | null => {
  const [ids, others] = [idsOrNull(one, text), idsOrNull(other, text)];
  if (ids === null && others === null) return null;
  const index = firstOther(ids ?? [], others ?? []);
  if (index === undefined) return null;
  return { kind: "ids", text, index, id: ids?.[index] ?? null, otherId: others?.[index] ?? null };
};

/** Prompts as texts. Ids above the tokenizer's vocabulary are left out: they have no text. */
const textsOf = ({ tokenizer }: TextTaker, prompts: readonly (string | readonly number[])[]): readonly string[] =>
  prompts.map((prompt) =>
    typeof prompt === "string" ? prompt : tokenizer.decode(prompt.filter((id) => id < tokenizer.vocabSize)),
  );

const sortedEnds = ({ endTokens }: TextTaker): readonly number[] => [...new Set(endTokens)].sort((a, b) => a - b);

/**
 * Ids that end a text, except the id of `<|endoftext|>`. A model directory always ends texts at this id. A GGUF file
 * does this only if it names the id.
 */
const ownEnds = (lm: TextTaker): readonly number[] => {
  const named = lm.tokenizer.specialTokens.find(({ name }) => name === endOfTextName)?.id;
  return sortedEnds(lm).filter((id) => id !== named);
};

const compareEnds = ([one, other]: Pair): TextDifference | null => {
  const [endTokens, otherEndTokens] = [sortedEnds(one), sortedEnds(other)];
  if (firstOther(endTokens, otherEndTokens) === undefined) return null;
  const own = ownEnds(one);
  if (own.length > 0 && firstOther(own, ownEnds(other)) === undefined) return null;
  return { kind: "endTokens", endTokens, otherEndTokens };
};

const linesOf = (template: ChatTemplate | null): readonly string[] => template?.template.split("\n") ?? [];

/**
 * @param template template of the first model.
 * @param other template of the second model.
 */
const compareTemplates = (template: ChatTemplate | null, other: ChatTemplate | null): TextDifference | null => {
  const [lines, others] = [linesOf(template), linesOf(other)];
  const index = firstOther(lines, others);
  if (index !== undefined) {
    return { kind: "chatTemplate", line: index + 1, text: lines[index] ?? null, otherText: others[index] ?? null };
  }
  if (template === null || other === null) return null;
  for (const [name, field] of [
    ["bos_token", "bosToken"],
    ["eos_token", "eosToken"],
  ] as const) {
    const [token, otherToken] = [template[field], other[field]];
    if (token !== otherToken && template.template.includes(name)) {
      return { kind: "templateToken", name, token, otherToken };
    }
  }
  return null;
};

const compareTokenizers = (pair: Pair, prompts: readonly (string | readonly number[])[]): TextDifference | null => {
  const [{ kind: tokenizer }, { kind: otherTokenizer }] = [pair[0].tokenizer, pair[1].tokenizer];
  if (tokenizer === "none" && otherTokenizer === "none") return null;
  if (tokenizer === "none" || otherTokenizer === "none") return { kind: "tokenizer", tokenizer, otherTokenizer };
  const difference = compareTokens(pair) ?? compareMerges(pair);
  if (difference !== null) return difference;
  for (const text of [...textsOf(pair[0], prompts), probe]) {
    const found = compareIds(pair, text);
    if (found !== null) return found;
  }
  return null;
};

/**
 * Finds the first difference in how two models encode texts. Returns null if they encode texts in the same way.
 * @param prompts texts, or lists of ids within both vocabularies. The text of each list is encoded with both
 * tokenizers.
 */
export const compareText = (pair: Pair, prompts: readonly (string | readonly number[])[]): TextDifference | null =>
  compareTokenizers(pair, prompts) ?? compareEnds(pair) ?? compareTemplates(pair[0].chatTemplate, pair[1].chatTemplate);
