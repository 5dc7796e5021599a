/**
 * Divides a text into tokens so that the sum of log-probabilities is highest. The method is Viterbi's algorithm over a
 * trie of the tokens. Kudo 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple
 * Subword Candidates".
 */
import { pairTable } from "../bpe/pair-table.ts";

/**
 * Difference between the lowest score of a token and the score of an unknown character. SentencePiece uses the same
 * number.
 */
const unknownPenalty = 10;

/**
 * Appends the ids of a part of a text. For a character without a token, it appends −1 minus the character's code point.
 */
export type DivideText = (text: string, append: (id: number) => void) => void;

/**
 * @param ids ids of the tokens by their texts.
 * @param scoreOf returns the score of a token.
 * @param lowest the lowest score of a token.
 */
export const divideByScores = (
  ids: ReadonlyMap<string, number>,
  scoreOf: (id: number) => number,
  lowest: number,
): DivideText => {
  /** Edges of the trie. Node 0 is the root. Each edge leads from a node, for a UTF-16 unit, to another node. */
  const edges = pairTable(ids.size);
  let tokenAt = new Int32Array(2 ** 10).fill(-1);
  for (const [text, id] of ids) {
    let node = 0;
    for (let i = 0; i < text.length; i++) node = 1 + edges.add(node, text.charCodeAt(i));
    if (node >= tokenAt.length) {
      const larger = new Int32Array(Math.max(2 * tokenAt.length, node + 1)).fill(-1);
      larger.set(tokenAt);
      tokenAt = larger;
    }
    tokenAt[node] = id;
  }
  const unknownScore = lowest - unknownPenalty;
  let best = new Float64Array(64);
  let from = new Int32Array(64);
  let chosen = new Int32Array(64);
  return (text, append) => {
    const { length } = text;
    if (best.length <= length) {
      best = new Float64Array(2 * length);
      from = new Int32Array(2 * length);
      chosen = new Int32Array(2 * length);
    }
    best.fill(Number.NEGATIVE_INFINITY, 1, length + 1);
    best[0] = 0;
    for (let at = 0; at < length; ) {
      const point = text.codePointAt(at) as number;
      const width = point > 0xffff ? 2 : 1;
      const reached = best[at] as number;
      const offer = (to: number, id: number, score: number): void => {
        if (reached + score <= (best[to] as number)) return;
        best[to] = reached + score;
        from[to] = at;
        chosen[to] = id;
      };
      let isKnown = false;
      let node = 0;
      for (let end = at; end < length; ) {
        const edge = edges.find(node, text.charCodeAt(end));
        if (edge === -1) break;
        node = edge + 1;
        end++;
        const id = node < tokenAt.length ? (tokenAt[node] as number) : -1;
        if (id === -1) continue;
        offer(end, id, scoreOf(id));
        if (end === at + width) isKnown = true;
      }
      if (!isKnown) offer(at + width, -1 - point, unknownScore);
      at += width;
    }
    let count = 0;
    // Writes the path backwards into `best`. The old values of `best` are no longer needed.
    for (let to = length; to > 0; to = from[to] as number) best[count++] = chosen[to] as number;
    while (count > 0) append(best[--count] as number);
  };
};
