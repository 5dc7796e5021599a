import { checkWhole } from "../../core/checks/check-arguments.ts";
import { ShapeError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { maskSteps, within } from "./budget.ts";
import type { Machine, State } from "./machine/machine.ts";
import type { TokenTree } from "./machine/vocabulary.ts";

/** Follows one text and computes the tokens that may come next, so that the whole text obeys its constraint. */
export interface Matcher {
  /**
   * Writes the mask of the tokens that may follow: the bit of token id is bit id % 32 of word ⌊id / 32⌋. The mask
   * contains the model's end tokens only if the text is complete.
   * @param into array of `maskLength` words.
   */
  mask(into: Uint32Array): void;
  /** Whether a token may follow. */
  allows(id: number): boolean;
  /** Adds a token. Returns false if the token is not allowed. The text then stays unchanged. */
  accept(id: number): boolean;
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** Whether only an end token may follow. */
  readonly isOver: boolean;
  /**
   * Tokens for the text that must come next. The text itself is certain. The division into tokens is a guess, because
   * the model may divide the text differently from the tokenizer. The tokens are not added.
   * @param most maximum number of tokens.
   */
  forced(most: number): readonly number[];
  /** Removes the last tokens. @param count number of tokens to remove, at most the number of accepted tokens. */
  rollback(count: number): void;
  /** Length of a mask in 32-bit words. */
  readonly maskLength: number;
}

/** The parts of a vocabulary that a matcher needs. */
export interface ConstraintVocabulary {
  readonly tree: TokenTree;
  readonly bytesOf: (id: number) => Uint8Array;
  readonly encode: (text: string) => ArrayLike<number>;
  readonly endTokens: readonly number[];
}

/** The only byte that may follow, or -1 if several bytes may follow or the text may end. */
const onlyByte = (machine: Machine, state: State): number => {
  if (state.isComplete || state.threads.some(({ leaf }) => leaf.special !== undefined)) return -1;
  let only = -1;
  for (let byte = 0; byte < 256; byte++) {
    if (!machine.mayRead(state, byte) || machine.step(state, byte) === null) continue;
    if (only >= 0) return -1;
    only = byte;
  }
  return only;
};

/** Maximum number of bytes to look ahead. */
const mostForced = 4096;

const forcedBytes = (machine: Machine, state: State): Uint8Array => {
  const bytes: number[] = [];
  let at: State = state;
  for (let byte = onlyByte(machine, at); byte >= 0 && bytes.length < mostForced; byte = onlyByte(machine, at)) {
    const next = machine.step(at, byte);
    if (next === null) break;
    bytes.push(byte);
    at = next;
  }
  return Uint8Array.from(bytes);
};

/**
 * The longest token in the text at position `from`, and its length in bytes. If no token matches, the result is -1 and
 * 0.
 */
const longestToken = (
  { bytes, ends, tokens, depths }: TokenTree,
  text: Uint8Array,
  from: number,
): readonly [number, number] => {
  let best: readonly [number, number] = [-1, 0];
  let node = 0;
  let end = bytes.length;
  for (let at = from; at < text.length; at++) {
    while (node < end && bytes[node] !== text[at]) node = ends[node] as number;
    if (node >= end) break;
    const id = tokens[node] as number;
    if (id >= 0) best = [id, (depths[node] as number) + 1];
    end = ends[node] as number;
    node++;
  }
  return best;
};

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Tokens of a text. The tokenizer's division is used if its tokens spell the text exactly. Otherwise, the longest
 * possible token is used at each position. The tokens may then cover only the beginning of the text.
 */
const tokensOf = (text: Uint8Array, { tree, bytesOf, encode }: ConstraintVocabulary, most: number): number[] => {
  try {
    const ids = Array.from(encode(decoder.decode(text)));
    const bytes = ids.flatMap((id) => Array.from(bytesOf(id)));
    // This check fails, for example, if the tokenizer puts a space before each text.
    if (bytes.length === text.length && bytes.every((byte, i) => byte === text[i])) return ids.slice(0, most);
  } catch {
    // The text begins or ends inside a character.
  }
  const ids: number[] = [];
  for (let at = 0; at < text.length && ids.length < most; ) {
    const [id, length] = longestToken(tree, text, at);
    if (id < 0) break;
    ids.push(id);
    at += length;
  }
  return ids;
};

export const createMatcher = (machine: Machine, vocabulary: ConstraintVocabulary): Matcher => {
  const { tree, bytesOf, endTokens } = vocabulary;
  const ends = new Set(endTokens);
  const specials = new Set(tree.specials);
  /** The states before each token, and the current state at the end. */
  const states: State[] = [machine.start];
  let ended = 0;
  const now = (): State => states.at(-1) ?? machine.start;
  const maskLength = (tree.vocabSize + 31) >>> 5;
  const after = (id: number): State | null => within(maskSteps, "constraint", () => read(id));
  const read = (id: number): State | null => {
    let state: State | null = now();
    if (specials.has(id)) return machine.special(state, id);
    const bytes = bytesOf(id);
    if (bytes.length === 0) return null;
    for (const byte of bytes) {
      state = machine.step(state, byte);
      if (state === null) return null;
    }
    return state;
  };
  const isOver = (): boolean => ended > 0 || (now().isComplete && now().threads.length === 0);
  const canFollow = (id: number): boolean => ended === 0 && (ends.has(id) ? now().isComplete : after(id) !== null);
  return {
    maskLength,
    mask(into) {
      if (!(into instanceof Uint32Array) || into.length !== maskLength) {
        throw new ShapeError({
          where: "matcher.mask",
          must: `must get a Uint32Array of length ${maskLength}`,
          got: show(into),
        });
      }
      if (ended > 0) {
        into.fill(0);
        return;
      }
      into.set(within(maskSteps, "constraint", () => machine.mask(now())));
      for (const id of ends) {
        const word = into[id >>> 5] as number;
        const bit = 1 << (id & 31);
        into[id >>> 5] = now().isComplete ? word | bit : word & ~bit;
      }
    },
    allows: canFollow,
    accept(id) {
      if (!canFollow(id)) return false;
      if (ends.has(id)) ended++;
      else {
        const state = after(id);
        if (state === null) return false;
        states.push(state);
      }
      return true;
    },
    get isComplete() {
      return ended > 0 || now().isComplete;
    },
    get isOver() {
      return isOver();
    },
    forced(most) {
      checkWhole("matcher.forced: most", most);
      const text = ended > 0 ? new Uint8Array() : within(maskSteps, "constraint", () => forcedBytes(machine, now()));
      return tokensOf(text, vocabulary, most);
    },
    rollback(count) {
      checkWhole("matcher.rollback: count", count);
      for (let i = 0; i < count && (ended > 0 || states.length > 1); i++) {
        if (ended > 0) ended--;
        else states.pop();
      }
    },
  };
};
