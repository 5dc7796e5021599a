import { readFileSync } from "node:fs";
import type { SplitPattern } from "#foretoken/tokenizer/bpe/split/patterns.js";

/** The part of a `tokenizer.json` that tests read. */
export interface TokenizerJson {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly (readonly string[])[] };
}

interface Fixture {
  readonly texts: readonly string[];
  readonly patterns: Readonly<
    Record<
      SplitPattern,
      {
        readonly json: TokenizerJson;
        /** Lengths of the pieces of each text, in code points. */
        readonly pieces: readonly (readonly number[])[];
        readonly ids: readonly (readonly number[])[];
        /** Indices of the texts on which the tokenizer was trained. */
        readonly training: readonly number[];
      }
    >
  >;
  readonly others: Readonly<
    Record<
      "unigram" | "wordpiece" | "llama2",
      {
        readonly json: object;
        readonly samples: readonly {
          readonly text: string;
          readonly ids: readonly number[];
          readonly decoded: string;
        }[];
      }
    >
  >;
  readonly classes: Readonly<Record<"L" | "N" | "space", readonly (readonly [first: number, last: number])[]>>;
}

/** Results of Hugging Face's `tokenizers` in Rust, made by scripts/fixtures/make-tokenizers.py. */
export const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/tokenizers.json", import.meta.url), "utf8"),
) as Fixture;

export const patternNames = Object.keys(fixture.patterns) as readonly SplitPattern[];
