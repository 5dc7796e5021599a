/**
 * Merges the tokens of a text. The best pair is merged first. Among equally good pairs, the leftmost pair is merged
 * first.
 */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { minHeap } from "../bpe/min-heap.ts";
import { pairTable } from "../bpe/pair-table.ts";
import type { MergeRule } from "../bpe/parts.ts";

/** Rules for merging pairs. */
export interface PairRules {
  /** Returns the index of the rule for a pair, or -1 if no rule merges the pair. */
  find(left: number, right: number): number;
  /** Priority of each rule: lower numbers merge first. Several rules may have the same priority. */
  readonly order: Int32Array;
  /** Token that each rule makes. */
  readonly token: Int32Array;
}

/** Maximum number of cached pairs. A full cache is cleared. */
const mostPairs = 2 ** 20;

/** Rank of each id, from the highest score to the lowest. Equal scores have equal ranks. */
const placesOf = (scores: ArrayLike<number>, count: number): Int32Array => {
  const sorted = new Float64Array(count);
  for (let id = 0; id < count; id++) sorted[id] = -(scores[id] as number);
  const places = new Int32Array(count);
  const own = sorted.slice();
  sorted.sort();
  for (let id = 0; id < count; id++) {
    const sought = own[id] as number;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as number) < sought) low = middle + 1;
      else high = middle;
    }
    places[id] = low;
  }
  return places;
};

/**
 * Merges by SentencePiece's rule. Two tokens merge if their joined texts are a token. The pair with the highest score
 * is merged first. Pairs are looked up when they occur, because a large vocabulary has millions of pairs, but a text
 * has few pairs.
 * @param textOf text of an id, or of a character without a token.
 */
export const rulesByScore = (
  scores: ArrayLike<number>,
  count: number,
  ids: ReadonlyMap<string, number>,
  textOf: (id: number) => string,
): PairRules => {
  const order = placesOf(scores, count);
  const token = new Int32Array(count);
  for (let id = 0; id < count; id++) token[id] = id;
  let pairs = pairTable(2 ** 12);
  let tokens: number[] = [];
  return {
    order,
    token,
    find: (left, right) => {
      const known = pairs.find(left, right);
      if (known !== -1) return tokens[known] as number;
      if (pairs.size === mostPairs) {
        pairs = pairTable(2 ** 12);
        tokens = [];
      }
      const token = ids.get(textOf(left) + textOf(right)) ?? -1;
      tokens[pairs.add(left, right)] = token;
      return token;
    },
  };
};

const partsOf = (rule: MergeRule): readonly [string, string] => {
  if (typeof rule !== "string") return rule;
  const blank = rule.indexOf(" ");
  return [rule.slice(0, Math.max(0, blank)), rule.slice(blank + 1)];
};

/**
 * Makes rules from a list of merges. Consecutive merges that make the same token get the same priority, because they
 * have the same score in the original SentencePiece model. If a pair occurs twice, its last rule counts.
 * @throws CheckpointError if a merge reads or makes an unknown token.
 */
export const rulesInOrder = (
  rules: readonly MergeRule[],
  ids: ReadonlyMap<string, number>,
  tokens: readonly string[],
  where: string,
): PairRules => {
  const pairs = pairTable(rules.length);
  const order = new Int32Array(rules.length);
  const token = new Int32Array(rules.length);
  /** All tokens, including special tokens and byte tokens. Merges with special tokens or byte tokens are ignored. */
  let others: ReadonlySet<string> | undefined;
  const idOf = (text: string, rule: MergeRule): number => {
    const id = ids.get(text);
    if (id !== undefined) return id;
    others ??= new Set(tokens);
    if (text !== "" && others.has(text)) return -1;
    const must = `every merge must join two tokens of the vocabulary into a third token; ${show(text)} is not in the vocabulary`;
    throw new CheckpointError({ where, must, got: show(rule) });
  };
  let place = -1;
  let last = "";
  let made = -1;
  for (const rule of rules) {
    const [left, right] = partsOf(rule);
    const [leftId, rightId] = [idOf(left, rule), idOf(right, rule)];
    const text = left + right;
    if (text !== last) {
      place++;
      last = text;
      made = idOf(text, rule);
    }
    if (leftId === -1 || rightId === -1 || made === -1) continue;
    const index = pairs.add(leftId, rightId);
    order[index] = place;
    token[index] = made;
  }
  return { find: pairs.find, order, token };
};

/** A heap entry is order × 2³¹ + place. A double represents it exactly if the order is below 2²². */
const placeRange = 2 ** 31;

/** Merges the first `length` symbols in place, in O(n log n). Returns the number of remaining symbols. */
export type MergePairs = (symbols: Int32Array, length: number) => number;

export const mergePairs = ({ find, order, token }: PairRules): MergePairs => {
  let next = new Int32Array(64);
  let previous = new Int32Array(64);
  /**
   * Rule of the pair that begins at a place. The rule is -1 if the symbol at this place was merged into the previous
   * symbol.
   */
  let rules = new Int32Array(64);
  const heap = minHeap(64);
  return (symbols, length) => {
    if (next.length < length) {
      next = new Int32Array(2 * length);
      previous = new Int32Array(2 * length);
      rules = new Int32Array(2 * length);
    }
    const enter = (at: number): void => {
      const after = next[at] as number;
      const rule = after < length ? find(symbols[at] as number, symbols[after] as number) : -1;
      rules[at] = rule;
      if (rule !== -1) heap.push((order[rule] as number) * placeRange + at);
    };
    for (let i = 0; i < length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < length; i++) enter(i);
    for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
      const place = Math.floor(entry / placeRange);
      const at = entry - place * placeRange;
      const rule = rules[at] as number;
      // Skip an outdated entry: the symbols at its place have changed since it was added.
      if (rule === -1 || order[rule] !== place) continue;
      const gone = next[at] as number;
      const after = next[gone] as number;
      symbols[at] = token[rule] as number;
      rules[gone] = -1;
      next[at] = after;
      if (after < length) previous[after] = at;
      enter(at);
      const before = previous[at] as number;
      if (before >= 0) enter(before);
    }
    let left = 0;
    for (let at = 0; at < length; at = next[at] as number) symbols[left++] = symbols[at] as number;
    return left;
  };
};
