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

/** Two tokens that become one; as one text, a space is between them. */
export type MergeRule = readonly [left: string, right: string] | string;

/** The parts of a byte-level BPE tokenizer. */
export interface BpeParts {
  /** In the order of their ids, in GPT-2's alphabet of bytes. The names of special tokens may be among them. */
  readonly tokens: readonly string[];
  /** The first one merges first. */
  readonly merges: readonly MergeRule[];
  /** Rules by which a text is split into pieces. */
  readonly pattern: SplitPattern;
  /** Ids of `tokens`, or ids that follow them. */
  readonly specialTokens: readonly SpecialToken[];
  /** Tokens that `encode` finds in a text by their whole name, before it splits the rest. None where left out. */
  readonly namedTokens?: readonly SpecialToken[] | undefined;
  /** Id of the special token that ends a text. Where left out, that of `<|endoftext|>`, if there is one. */
  readonly endOfText?: number | null | undefined;
  /** A piece that is a token becomes that token, also where merges would give another result. Default false. */
  readonly ignoreMerges?: boolean | undefined;
  /** Unicode form into which `encode` brings a text; such a text comes back in that form. */
  readonly normalizer?: "NFC" | undefined;
}

const isMerge: Form = (value) =>
  isText(value) || (isList(value) && (value as unknown[]).length === 2 && listOf(isText)(value));
const isPattern: Form = (value) => splitPatterns.some((pattern) => pattern === value);

/** The form of each part, and its words in an error. */
const forms: { readonly [Part in keyof Required<BpeParts>]: readonly [must: string, form: Form] } = {
  tokens: ["a list of texts", listOf(isText)],
  merges: ["a list of merges, each of them two texts, or one with a space between them", listOf(isMerge)],
  pattern: [alternatives(splitPatterns), isPattern],
  specialTokens: ["a list of tokens, each with id and name", listOf(isObject)],
  namedTokens: ["a list of tokens, each with id and name", optional(listOf(isObject))],
  endOfText: ["the id of a token, or null", optional(orNull(isNumber))],
  ignoreMerges: ["true or false", optional(isFlag)],
  normalizer: ["NFC", optional((value) => value === "NFC")],
};

/** @throws ConfigError unless each part has its form. */
export const checkParts = (where: string, parts: unknown): void => {
  checkKeys(where, parts, Object.keys(forms));
  for (const [name, [must, form]] of Object.entries(forms)) {
    const part: unknown = Reflect.get(parts as object, name);
    if (!form(part)) throw new ConfigError({ where: `${where}.${name}`, must: `must be ${must}`, got: show(part) });
  }
};
