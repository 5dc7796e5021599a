import { checkKeys } from "../../core/checks/check-arguments.ts";
import {
  type Form,
  isFlag,
  isList,
  isNumber,
  isObject,
  isText,
  listOf,
  optional,
  orNull,
} from "../../core/checks/forms.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { SpecialToken } from "../tokenizer.ts";
import { type SplitPattern, splitPatterns } from "./split/patterns.ts";

/** Two tokens that are merged into one token. In a string, a space separates the two tokens. */
export type MergeRule = readonly [left: string, right: string] | string;

/** The parts of a byte-level BPE tokenizer. */
export interface BpeParts {
  /** Tokens in the order of their ids, in GPT-2's byte alphabet. The list may contain names of special tokens. */
  readonly tokens: readonly string[];
  /** Merges in the order of their priority. */
  readonly merges: readonly MergeRule[];
  /** Rules that split a text into pieces. */
  readonly pattern: SplitPattern;
  /** Special tokens. The ids of special tokens are indices in `tokens`, or follow the last index. */
  readonly specialTokens: readonly SpecialToken[];
  /** Tokens that `encode` finds by their whole name, before it splits the remaining text. Default: none. */
  readonly namedTokens?: readonly SpecialToken[] | undefined;
  /** Id of the special token that ends a text. Default: the id of `<|endoftext|>`, if this token exists. */
  readonly endOfText?: number | null | undefined;
  /**
   * Whether a piece that equals a token always becomes this token, even if merges would give other tokens. Default:
   * false.
   */
  readonly ignoreMerges?: boolean | undefined;
  /** Unicode normalization that `encode` applies. Decoding returns the normalized text. */
  readonly normalizer?: "NFC" | undefined;
}

const isMerge: Form = (value) =>
  isText(value) || (isList(value) && (value as unknown[]).length === 2 && listOf(isText)(value));
const isPattern: Form = (value) => splitPatterns.some((pattern) => pattern === value);

/** A check of each part, and a description of the part for an error. */
const forms: { readonly [Part in keyof Required<BpeParts>]: readonly [must: string, form: Form] } = {
  tokens: ["a list of strings", listOf(isText)],
  merges: [
    "a list of merges; a merge is a list of two tokens, or a string with a space between two tokens",
    listOf(isMerge),
  ],
  pattern: [alternatives(splitPatterns), isPattern],
  specialTokens: ["a list of tokens, each with id and name", listOf(isObject)],
  namedTokens: ["a list of tokens, each with id and name", optional(listOf(isObject))],
  endOfText: ["the id of a token, or null", optional(orNull(isNumber))],
  ignoreMerges: ["true or false", optional(isFlag)],
  normalizer: ["NFC", optional((value) => value === "NFC")],
};

/** @throws ConfigError if a part has the wrong type. */
export const checkParts = (where: string, parts: unknown): void => {
  checkKeys(where, parts, Object.keys(forms));
  for (const [name, [must, form]] of Object.entries(forms)) {
    const part: unknown = Reflect.get(parts as object, name);
    if (!form(part)) throw new ConfigError({ where: `${where}.${name}`, must: `must be ${must}`, got: show(part) });
  }
};
