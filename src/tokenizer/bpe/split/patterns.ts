/** Names of the split patterns, and how a `tokenizer.json` describes each pattern. */
import { isRecord } from "../../../core/checks/is-record.ts";

export const splitPatterns = ["gpt2", "gpt4", "llama3", "qwen2", "smollm"] as const;
/**
 * Rules that split a text into pieces, as in GPT-2, GPT-4 (cl100k), Llama 3, Qwen 2 or SmolLM2. A token never spans two
 * pieces. llama.cpp calls these patterns `gpt-2`, `gpt-4`, `llama-bpe`, `qwen2` and `smollm`.
 */
export type SplitPattern = (typeof splitPatterns)[number];

const gpt4Regex = (numbers: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Regular expression for the pre-tokenizer `Split`. GPT-2's regular expression is built into `ByteLevel`. */
const regexes: { readonly [P in SplitPattern]: string | undefined } = {
  gpt2: undefined,
  gpt4: gpt4Regex("\\p{N}{1,3}"),
  llama3: gpt4Regex("\\p{N}{1,3}"),
  qwen2: gpt4Regex("\\p{N}"),
  smollm: undefined,
};

const gpt2Regex = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const byteLevel = (useRegex: boolean): object => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

/** The pre-tokenizer of a `tokenizer.json`. */
export const preTokenizerJson = (pattern: SplitPattern): object => {
  const regex = regexes[pattern];
  if (regex !== undefined) {
    const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
    return { type: "Sequence", pretokenizers: [split, byteLevel(false)] };
  }
  if (pattern === "gpt2") return byteLevel(true);
  return { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)] };
};

/** Whether `value` is `ByteLevel`. `add_prefix_space` and `use_regex` default to true. */
const isByteLevel = (value: unknown, useRegex: boolean): boolean =>
  isRecord(value) &&
  value.type === "ByteLevel" &&
  value.add_prefix_space === false &&
  (value.use_regex ?? true) === useRegex;

const isSplit = (value: unknown): value is { readonly pattern: { readonly Regex: unknown } } =>
  isRecord(value) &&
  value.type === "Split" &&
  isRecord(value.pattern) &&
  typeof value.pattern.Regex === "string" &&
  ((value.behavior === "Isolated" && (value.invert ?? false) === false) ||
    (value.behavior === "Removed" && value.invert === true));

const patternOfRegex = (regex: unknown): SplitPattern | undefined =>
  regex === gpt2Regex ? "gpt2" : splitPatterns.find((name) => regexes[name] === regex);

/** Pattern of a pre-tokenizer in a `tokenizer.json`. Undefined if the pattern is not supported. */
export const patternOfJson = (json: unknown): SplitPattern | undefined => {
  if (isByteLevel(json, true)) return "gpt2";
  const parts = isRecord(json) && json.type === "Sequence" ? json.pretokenizers : undefined;
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  const [first, second] = parts as readonly unknown[];
  if (isByteLevel(second, false)) return isSplit(first) ? patternOfRegex(first.pattern.Regex) : undefined;
  const isDigits = isRecord(first) && first.type === "Digits" && first.individual_digits === true;
  return isDigits && isByteLevel(second, true) ? "smollm" : undefined;
};
