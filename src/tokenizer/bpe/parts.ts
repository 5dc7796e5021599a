import type { SpecialToken } from "../tokenizer.ts";
import type { SplitPattern } from "./split/patterns.ts";

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
