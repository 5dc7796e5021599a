/** Supported kinds of pre-tokenizers, by llama.cpp's names. */
import type { BpeParts } from "../../tokenizer/bpe/parts.ts";

/** Rules of byte-level BPE that a pre-tokenizer's name selects. */
export type PreTokenizer = Pick<BpeParts, "pattern" | "ignoreMerges" | "normalizer">;

/**
 * dbrx (Databricks) and stablelm2 (Stability AI) are exactly the patterns of GPT-4 and Qwen 2, without a normalizer.
 */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map([
  ["gpt-2", { pattern: "gpt2" }],
  ["llama-bpe", { pattern: "llama3", ignoreMerges: true }],
  ["qwen2", { pattern: "qwen2", normalizer: "NFC" }],
  ["smollm", { pattern: "smollm" }],
  ["dbrx", { pattern: "gpt4" }],
  ["stablelm2", { pattern: "qwen2" }],
]);

/** llama.cpp's name for these rules; undefined if it has none. */
export const preTokenizerNamed = ({ pattern, ignoreMerges = false, normalizer }: PreTokenizer): string | undefined => {
  // llama3 without `ignoreMerges` is the same pattern as gpt4.
  const sought = pattern === "llama3" && !ignoreMerges ? "gpt4" : pattern;
  for (const [name, rules] of preTokenizers) {
    const same = rules.pattern === sought && (rules.ignoreMerges ?? false) === ignoreMerges;
    if (same && rules.normalizer === normalizer) return name;
  }
  return undefined;
};
