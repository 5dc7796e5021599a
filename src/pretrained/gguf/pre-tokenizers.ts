/** Kinds of pre-tokenizers that are known here, by llama.cpp's names. */
import type { BpeParts } from "../../tokenizer/bpe/parts.ts";

/** The rules of byte-level BPE that a name stands for. */
export type PreTokenizer = Pick<BpeParts, "pattern" | "ignoreMerges" | "normalizer">;

/** Models of Databricks and Stability AI have the patterns of GPT-4 and Qwen 2 without anything else. */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map([
  ["gpt-2", { pattern: "gpt2" }],
  ["llama-bpe", { pattern: "llama3", ignoreMerges: true }],
  ["qwen2", { pattern: "qwen2", normalizer: "NFC" }],
  ["smollm", { pattern: "smollm" }],
  ["dbrx", { pattern: "gpt4" }],
  ["stablelm2", { pattern: "qwen2" }],
]);

/** The name for these rules; undefined where llama.cpp has none. */
export const preTokenizerNamed = ({ pattern, ignoreMerges = false, normalizer }: PreTokenizer): string | undefined => {
  // Where whole tokens go before merges, the same pattern has the other name.
  const sought = pattern === "llama3" && !ignoreMerges ? "gpt4" : pattern;
  for (const [name, rules] of preTokenizers) {
    const same = rules.pattern === sought && (rules.ignoreMerges ?? false) === ignoreMerges;
    if (same && rules.normalizer === normalizer) return name;
  }
  return undefined;
};
