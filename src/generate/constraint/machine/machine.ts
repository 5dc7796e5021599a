import { spend } from "../budget.ts";
import { leafMaskOf, setBit } from "./leaf-masks.ts";
import type { TokenTree } from "./vocabulary.ts";
import { type Output, type Ways, wayFinder } from "./ways.ts";

/** State of a text: all ways to read the text so far. */
export interface State extends Ways {
  readonly id: number;
  readonly next: Map<number, State | null>;
  mask: Uint32Array | null;
}

/** Reads texts byte by byte and computes which tokens may follow. */
export interface Machine {
  readonly start: State;
  /** The state after a byte, or null if the byte is not allowed. */
  step(state: State, byte: number): State | null;
  /** The state after a special token, or null if the token is not allowed. */
  special(state: State, id: number): State | null;
  /** A fast test: whether a leaf of the state accepts the byte. If not, `step` returns null. */
  mayRead(state: State, byte: number): boolean;
  /**
   * Mask of the tokens that may follow, one bit for each token. The mask does not contain end tokens. The caller must
   * not change the mask.
   */
  mask(state: State): Uint32Array;
}

const where = "constraint";

/** Maximum numbers of cached states and of cached masks. */
const mostKept = 20_000;
const mostMasks = 1_000;

/** @param begin reports how the text may begin. */
export const createMachine = (tree: TokenTree, begin: (out: Output) => void): Machine => {
  const finder = wayFinder();
  const states = new Map<string, State>();
  let masked: State[] = [];
  let ids = 0;
  let start: State | undefined;
  const stateOf = (ways: Ways): State => {
    const key = `${ways.isComplete}${ways.threads.map(({ id }) => id).join()}`;
    let found = states.get(key);
    if (found === undefined) {
      if (states.size >= mostKept || finder.size() >= mostKept) {
        // Clears the caches. States in use stay valid, and equal states are created again when they are reached. The
        // links from the first state are also removed, because they would keep all states in memory.
        states.clear();
        start?.next.clear();
        finder.forget(start ?? ways);
      }
      found = { ...ways, id: ids++, next: new Map(), mask: null };
      states.set(key, found);
    }
    return found;
  };
  const step = (state: State, byte: number): State | null => {
    const known = state.next.get(byte);
    if (known !== undefined) return known;
    const ways = finder.collect(({ add }) => {
      for (const { leaf, state: at, stack } of state.threads) {
        const to = leaf.step(at, byte);
        if (to >= 0) add(leaf, to, stack);
      }
    });
    const next = ways.threads.length === 0 && !ways.isComplete ? null : stateOf(ways);
    state.next.set(byte, next);
    return next;
  };
  const special = (state: State, id: number): State | null => {
    const ways = finder.collect(({ add }) => {
      for (const { leaf, state: at, stack } of state.threads) {
        const to = leaf.special?.(at, id) ?? -1;
        if (to >= 0) add(leaf, to, stack);
      }
    });
    return ways.threads.length === 0 && !ways.isComplete ? null : stateOf(ways);
  };
  /** Adds the tokens of a subtree that `state` can read to `bits`. */
  const walk = (bits: Uint32Array, state: State, from: number, to: number): void => {
    const { bytes, depths, ends, tokens, more } = tree;
    const path: State[] = [];
    const base = depths[from] as number;
    for (let node = from; node < to; ) {
      const depth = (depths[node] as number) - base;
      const next = step(depth === 0 ? state : (path[depth - 1] as State), bytes[node] as number);
      if (next === null) {
        node = ends[node] as number;
        continue;
      }
      path[depth] = next;
      for (let id = tokens[node] as number; id >= 0; id = more[id] as number) setBit(bits, id);
      node++;
    }
  };
  const maskOf = (state: State): Uint32Array => {
    const { ends, tokens, more, vocabSize } = tree;
    const bits = new Uint32Array((vocabSize + 31) >>> 5);
    for (const { leaf, state: at, stack } of state.threads) {
      const own = leafMaskOf(tree, leaf, at);
      spend((bits.length >> 3) + own.exits.length, where);
      for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] as number) | (own.bits[i] as number);
      let label = -1;
      let after: State | null = null;
      for (let i = 0; i < own.exits.length; i += 2) {
        const node = own.exits[i] as number;
        if (own.exits[i + 1] !== label) {
          label = own.exits[i + 1] as number;
          const ways = finder.after(stack, label);
          after = ways.threads.length === 0 && !ways.isComplete ? null : stateOf(ways);
        }
        if (after === null) continue;
        for (let id = tokens[node] as number; id >= 0; id = more[id] as number) setBit(bits, id);
        if (after.threads.length > 0 && (ends[node] as number) > node + 1)
          walk(bits, after, node + 1, ends[node] as number);
      }
    }
    if (state.threads.some(({ leaf }) => leaf.special !== undefined)) {
      for (const id of tree.specials) if (special(state, id) !== null) setBit(bits, id);
    }
    return bits;
  };
  const first = stateOf(finder.collect(begin));
  start = first;
  return {
    start: first,
    step,
    special,
    mayRead: (state, byte) => {
      spend(1, where);
      return state.threads.some(({ leaf, state: at }) => leaf.step(at, byte) >= 0);
    },
    mask: (state) => {
      if (state.mask !== null) return state.mask;
      const mask = maskOf(state);
      state.mask = mask;
      masked.push(state);
      if (masked.length > mostMasks) {
        for (const old of masked.slice(0, mostMasks / 2)) old.mask = null;
        masked = masked.slice(mostMasks / 2);
      }
      return mask;
    },
  };
};
