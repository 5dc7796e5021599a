/**
 * Encodes a normalized text. The encoder cuts the text where no token spans the cut, divides each part into tokens, and
 * caches the result.
 */
import { appendId, type IdList } from "../bpe/encoder.ts";
import { doubled } from "../bpe/pair-table.ts";
import { nextCutOf } from "./cuts.ts";
import { mergePairs, type PairRules, rulesByScore, rulesInOrder } from "./merge.ts";
import { kinds, type SentencePieceParts, type Vocabulary } from "./parts.ts";
import { spaceSign } from "./space-sign.ts";
import { type DivideText, divideByScores } from "./viterbi.ts";

/** Maximum number of cached parts. A full cache is cleared. */
const mostRemembered = 2 ** 16;
/** Maximum length of a cached part. Longer parts are not cached, because they rarely repeat. */
const longestRemembered = 48;

/** Appends the ids of a text part to a list. */
export type EncodeStretch = (text: string, out: IdList) => void;

/** Represents a character without a token as a negative number instead of an id. */
const unknownOf = (point: number): number => -1 - point;
const pointOf = (unknown: number): number => -1 - unknown;

/** Byte-pair encoding: looks up characters, then merges pairs. */
const divideByPairs = (rules: PairRules, ids: ReadonlyMap<string, number>): DivideText => {
  const merge = mergePairs(rules);
  const characters = new Map<number, number>();
  for (const [text, id] of ids) {
    const point = text.codePointAt(0) as number;
    if (text.length === (point > 0xffff ? 2 : 1)) characters.set(point, id);
  }
  let symbols = new Int32Array(64);
  return (text, append) => {
    while (symbols.length < text.length) symbols = doubled(symbols);
    let count = 0;
    for (let at = 0; at < text.length; ) {
      const point = text.codePointAt(at) as number;
      symbols[count++] = characters.get(point) ?? unknownOf(point);
      at += point > 0xffff ? 2 : 1;
    }
    const left = merge(symbols, count);
    for (let i = 0; i < left; i++) append(symbols[i] as number);
  };
};

const lowestScore = ({ tokens, kinds: kindOf }: SentencePieceParts, scores: ArrayLike<number>): number => {
  let lowest = 0;
  for (let id = 0; id < tokens.length; id++) {
    if (kindOf[id] === kinds.normal) lowest = Math.min(lowest, scores[id] as number);
  }
  return lowest;
};

const dividerOf = (parts: SentencePieceParts, vocabulary: Vocabulary, rules: PairRules | undefined): DivideText => {
  const { division, tokens, kinds: kindOf } = parts;
  const { ids } = vocabulary;
  if (division.kind !== "unigram") {
    const { find, order, token } = rules ?? rulesOf(parts, vocabulary, "tokenizer");
    return divideByPairs({ find, order, token }, ids);
  }
  const { scores } = division;
  // The score of a user-defined token is 0. Such tokens are normally found by name before the text is divided. The
  // score makes the encoder prefer them everywhere, as SentencePiece does.
  const scoreOf = (id: number): number => (kindOf[id] === kinds.userDefined ? 0 : (scores[id] as number));
  const found = new Map([...ids].filter(([, id]) => kindOf[id] !== kinds.unused && tokens[id] !== ""));
  return divideByScores(found, scoreOf, lowestScore(parts, scores));
};

/** Rules for merging pairs. @throws CheckpointError for a list of merges with unknown tokens. */
export const rulesOf = ({ division, tokens }: SentencePieceParts, { ids }: Vocabulary, where: string): PairRules => {
  if (division.kind === "merges") return rulesInOrder(division.merges, ids, tokens, where);
  const textOf = (id: number): string => (id < 0 ? String.fromCodePoint(pointOf(id)) : (tokens[id] as string));
  return rulesByScore(division.kind === "bpe" ? division.scores : [], tokens.length, ids, textOf);
};

/** @param rules rules from a list of merges, if they exist already. */
export const stretchEncoder = (parts: SentencePieceParts, vocabulary: Vocabulary, rules?: PairRules): EncodeStretch => {
  const divide = dividerOf(parts, vocabulary, rules);
  const { bytes, unknown } = vocabulary;
  const nextCut = nextCutOf(vocabulary.ids.keys(), parts.splitsWords ? spaceSign : undefined);
  const encoder = new TextEncoder();
  let remembered = new Map<string, Int32Array>();

  /** Appends the byte tokens of a character that has no token. Without byte tokens, it appends the unknown token. */
  const appendUnknown = (point: number, out: IdList, begin: number): void => {
    if (bytes !== undefined) {
      for (const byte of encoder.encode(String.fromCodePoint(point))) appendId(out, bytes[byte] as number);
    } else if (unknown !== undefined) {
      const isJoined = parts.joinsUnknown && out.length > begin && out.ids[out.length - 1] === unknown;
      if (!isJoined) appendId(out, unknown);
    }
  };

  return (text, out) => {
    const begin = out.length;
    const append = (id: number): void => {
      if (id < 0) appendUnknown(pointOf(id), out, begin);
      else appendId(out, id);
    };
    for (let from = 0; from < text.length; ) {
      const to = nextCut(text, from);
      const stretch = text.slice(from, to);
      from = to;
      const known = remembered.get(stretch);
      if (known !== undefined) {
        for (let i = 0; i < known.length; i++) append(known[i] as number);
        continue;
      }
      const ids: number[] = [];
      divide(stretch, (id) => ids.push(id));
      for (const id of ids) append(id);
      if (stretch.length > longestRemembered) continue;
      if (remembered.size === mostRemembered) remembered = new Map();
      remembered.set(stretch, Int32Array.from(ids));
    }
  };
};
