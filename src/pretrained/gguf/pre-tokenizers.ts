/** Supported pre-tokenizers, by llama.cpp's names. */
import type { BpeParts } from "../../tokenizer/bpe/parts.ts";

/** Rules of byte-level BPE for the name of a pre-tokenizer. */
export type PreTokenizer = Pick<BpeParts, "pattern" | "ignoreMerges" | "normalizer">;

/**
 * dbrx (Databricks) has exactly the pattern of GPT-4. stablelm2 (Stability AI) has exactly the pattern of Qwen 2. dbrx
 * and stablelm2 have no normalizer.
 */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map([
  ["gpt-2", { pattern: "gpt2" }],
  ["llama-bpe", { pattern: "llama3", ignoreMerges: true }],
  ["qwen2", { pattern: "qwen2", normalizer: "NFC" }],
  ["smollm", { pattern: "smollm" }],
  ["dbrx", { pattern: "gpt4" }],
  ["stablelm2", { pattern: "qwen2" }],
]);

/** llama.cpp's name for these rules. Undefined if llama.cpp has no name for them. */
export const preTokenizerNamed = ({ pattern, ignoreMerges = false, normalizer }: PreTokenizer): string | undefined => {
  // The pattern of llama3 without `ignoreMerges` is the same as the pattern of gpt4.
  const sought = pattern === "llama3" && !ignoreMerges ? "gpt4" : pattern;
  for (const [name, rules] of preTokenizers) {
    const same = rules.pattern === sought && (rules.ignoreMerges ?? false) === ignoreMerges;
    if (same && rules.normalizer === normalizer) return name;
  }
  return undefined;
};
