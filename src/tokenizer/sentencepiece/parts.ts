/** The parts of a SentencePiece tokenizer, from whichever file they are read. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { MergeRule } from "../bpe/parts.ts";
import type { TextStep } from "./steps.ts";

/** Kinds of tokens, by SentencePiece's numbers, which GGUF files have too. */
export const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The ids that a text may be divided into by scores or merges: SentencePiece looks up no others. */
export const isFound = (kind: number | undefined): boolean =>
  kind === kinds.normal || kind === kinds.userDefined || kind === kinds.unused;

/** How tokens are found in a text. */
export type Division =
  /** The pair whose token has the best score merges first, from the left where scores are equal. */
  | { readonly kind: "bpe"; readonly scores: ArrayLike<number> }
  /** The first rule merges first. */
  | { readonly kind: "merges"; readonly merges: readonly MergeRule[] }
  /** The division with the highest sum of scores, which are log-probabilities. */
  | { readonly kind: "unigram"; readonly scores: ArrayLike<number> };

/** A SentencePiece tokenizer in parts. */
export interface SentencePieceParts {
  readonly division: Division;
  /** In the order of their ids, with `▁` for spaces; "" for an id without a token. */
  readonly tokens: readonly string[];
  /** The kind of each token. */
  readonly kinds: ArrayLike<number>;
  /** What is done to a text first. */
  readonly steps: readonly TextStep[];
  /** Whether no token reaches over the beginning of a word, also where the vocabulary has such a token. */
  readonly splitsWords: boolean;
  /** Whether adjacent characters without a token are one unknown token, where they have no bytes. */
  readonly joinsUnknown: boolean;
  /** Whether a text's first space is not part of it. */
  readonly dropsFirstSpace: boolean;
  /** The id of the special token that ends a text; null: there is none. */
  readonly endOfText: number | null;
  /** The id that a model's texts begin with; null: there is none. */
  readonly beginOfText: number | null;
}

/** What follows from the kinds of tokens. */
export interface Vocabulary {
  /** Ids of the tokens that a text is divided into, by their texts; of two with the same text the first. */
  readonly ids: ReadonlyMap<string, number>;
  /** Ids of the 256 bytes; undefined: there are none. */
  readonly bytes: Int32Array | undefined;
  /** Id of the token for unknown characters; undefined: there is none. */
  readonly unknown: number | undefined;
}

const byteNames = /^<0x([0-9A-Fa-f]{2})>$/u;

/** The byte that a token of the kind byte stands for; undefined for another name. */
export const byteOf = (token: string): number | undefined => {
  const hex = byteNames.exec(token)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
};

export const byteName = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** @throws CheckpointError for a byte without a token where others have one, or a token of a byte with another name. */
const bytesOf = (tokens: readonly string[], kindOf: ArrayLike<number>, where: string): Int32Array | undefined => {
  const found = new Int32Array(256).fill(-1);
  let count = 0;
  for (let id = 0; id < tokens.length; id++) {
    if (kindOf[id] !== kinds.byte) continue;
    const token = tokens[id] as string;
    const byte = byteOf(token);
    if (byte === undefined) {
      throw new CheckpointError({ where, must: "tokens of bytes must have names such as <0x0A>", got: show(token) });
    }
    if (found[byte] === -1) found[byte] = id;
    count++;
  }
  if (count === 0) return undefined;
  const missing = found.indexOf(-1);
  if (missing === -1) return found;
  const must = "the vocabulary must have a token for each of the 256 bytes, or for none";
  throw new CheckpointError({ where, must, got: `none for ${byteName(missing)}` });
};

/**
 * The vocabulary of these parts.
 * @param where the file, for errors.
 * @throws CheckpointError for tokens of bytes that are not all there, or a vocabulary without tokens for texts.
 */
export const vocabularyOf = ({ tokens, kinds: kindOf }: SentencePieceParts, where: string): Vocabulary => {
  const ids = new Map<string, number>();
  let unknown: number | undefined;
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id] as string;
    if (kindOf[id] === kinds.unknown) unknown ??= id;
    if (token !== "" && isFound(kindOf[id]) && !ids.has(token)) ids.set(token, id);
  }
  const bytes = bytesOf(tokens, kindOf, where);
  if (ids.size === 0) {
    throw new CheckpointError({ where, must: "the vocabulary must have tokens that texts are made of", got: "none" });
  }
  return { ids, bytes, unknown };
};
