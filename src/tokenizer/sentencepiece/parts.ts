/** The parts of a SentencePiece tokenizer, independent of the file format. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { MergeRule } from "../bpe/parts.ts";
import type { TextStep } from "./steps.ts";

/** Token kinds by SentencePiece's numbers, which GGUF files also use. */
export const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * Whether a text can be divided into tokens of this kind. SentencePiece never finds tokens of other kinds in a text.
 */
export const isFound = (kind: number | undefined): boolean =>
  kind === kinds.normal || kind === kinds.userDefined || kind === kinds.unused;

/** How a text is divided into tokens. */
export type Division =
  /**
   * Byte-pair encoding by scores. The pair whose merged token has the highest score merges first; if scores are equal,
   * the leftmost pair merges first.
   */
  | { readonly kind: "bpe"; readonly scores: ArrayLike<number> }
  /** Byte-pair encoding by a list of merges in the order of priority. */
  | { readonly kind: "merges"; readonly merges: readonly MergeRule[] }
  /**
   * Unigram. The score of a token is a log-probability. The text is divided so that the sum of the scores is highest.
   */
  | { readonly kind: "unigram"; readonly scores: ArrayLike<number> };

/** The parts of a SentencePiece tokenizer. */
export interface SentencePieceParts {
  readonly division: Division;
  /** Tokens in the order of their ids, with `▁` for spaces. An id without a token has the text "". */
  readonly tokens: readonly string[];
  /** Kind of each token. */
  readonly kinds: ArrayLike<number>;
  /** Normalization steps. */
  readonly steps: readonly TextStep[];
  /**
   * Whether text is split into words. A token then never spans the beginning of a word, even if the vocabulary has such
   * a token.
   */
  readonly splitsWords: boolean;
  /**
   * Whether adjacent characters without a token become a single unknown token. The setting matters only if the
   * vocabulary has no byte tokens.
   */
  readonly joinsUnknown: boolean;
  /** Whether decoding removes the first space of a text. */
  readonly dropsFirstSpace: boolean;
  /** Id of the end-of-text token. Null if there is none. */
  readonly endOfText: number | null;
  /** Id of the BOS token. Null if there is none. */
  readonly beginOfText: number | null;
}

/** Lookup tables that are made from the tokens and their kinds. */
export interface Vocabulary {
  /**
   * Ids by text of the tokens into which a text can be divided. If two tokens have the same text, the first token
   * counts.
   */
  readonly ids: ReadonlyMap<string, number>;
  /** Ids of the 256 byte tokens. Undefined if there are no byte tokens. */
  readonly bytes: Int32Array | undefined;
  /** Id of the unknown token. Undefined if there is none. */
  readonly unknown: number | undefined;
}

const byteNames = /^<0x([0-9A-Fa-f]{2})>$/u;

/** Byte of a byte token. Undefined if the name is not like `<0x0A>`. */
export const byteOf = (token: string): number | undefined => {
  const hex = byteNames.exec(token)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
};

export const byteName = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** @throws CheckpointError if only some bytes have a token, or the name of a byte token is not like `<0x0A>`. */
const bytesOf = (tokens: readonly string[], kindOf: ArrayLike<number>, where: string): Int32Array | undefined => {
  const found = new Int32Array(256).fill(-1);
  let count = 0;
  for (let id = 0; id < tokens.length; id++) {
    if (kindOf[id] !== kinds.byte) continue;
    const token = tokens[id] as string;
    const byte = byteOf(token);
    if (byte === undefined) {
      throw new CheckpointError({ where, must: "byte tokens must have names such as <0x0A>", got: show(token) });
    }
    if (found[byte] === -1) found[byte] = id;
    count++;
  }
  if (count === 0) return undefined;
  const missing = found.indexOf(-1);
  if (missing === -1) return found;
  const must = "the vocabulary must have a token for each of the 256 bytes, or for no byte";
  throw new CheckpointError({ where, must, got: `no token for ${byteName(missing)}` });
};

/**
 * Makes the lookup tables of these parts.
 * @param where the file, for errors.
 * @throws CheckpointError for missing byte tokens, or a vocabulary without tokens for text.
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
    throw new CheckpointError({ where, must: "the vocabulary must have ordinary tokens", got: "none" });
  }
  return { ids, bytes, unknown };
};
