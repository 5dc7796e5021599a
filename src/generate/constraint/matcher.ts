import { checkWhole } from "../../core/checks/check-arguments.ts";
import { ShapeError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { maskSteps, within } from "./budget.ts";
import type { Machine, State } from "./machine/machine.ts";
import type { TokenTree } from "./machine/vocabulary.ts";

/** Follows one text: which tokens may come next, so that the whole text obeys its constraint. */
export interface Matcher {
  /**
   * Writes which tokens may follow, a bit for each id: bit id % 32 of number ⌊id / 32⌋. The model's end tokens are among them
   * exactly where the text is complete.
   * @param into as many numbers as `maskLength` tells.
   */
  mask(into: Uint32Array): void;
  /** Whether a token may follow. */
  allows(id: number): boolean;
  /** Adds a token; false: it must not follow, and the text stays as it is. */
  accept(id: number): boolean;
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** Whether nothing but an end token may follow. */
  readonly isOver: boolean;
  /**
   * Tokens of the text that must follow. The text is certain; where it may be divided into tokens in other ways, this is a guess, as the
   * tokenizer divides it. They are not added.
   * @param most tokens at most.
   */
  forced(most: number): readonly number[];
  /** Takes the last tokens back. @param count number of accepted tokens at most. */
  rollback(count: number): void;
  /** Numbers of a mask. */
  readonly maskLength: number;
}

/** What a matcher needs of a vocabulary. */
export interface ConstraintVocabulary {
  readonly tree: TokenTree;
  readonly bytesOf: (id: number) => Uint8Array;
  readonly encode: (text: string) => ArrayLike<number>;
  readonly endTokens: readonly number[];
}

/** The only byte that may follow; -1 where there are several, or the text may end. */
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

/** The most bytes that are looked ahead. */
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

/** The longest token that is the beginning of bytes, and its length. */
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

/** Tokens of a text: the tokenizer's own, or else the longest ones first. They may end before the text. */
const tokensOf = (text: Uint8Array, { tree, bytesOf, encode }: ConstraintVocabulary, most: number): number[] => {
  try {
    const ids = Array.from(encode(decoder.decode(text)));
    const bytes = ids.flatMap((id) => Array.from(bytesOf(id)));
    // A tokenizer may put a space before each text.
    if (bytes.length === text.length && bytes.every((byte, i) => byte === text[i])) return ids.slice(0, most);
  } catch {
    // The text begins or ends within a character.
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
  /** The states before each token, and now. */
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
          must: `must get a Uint32Array of ${maskLength} numbers`,
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
