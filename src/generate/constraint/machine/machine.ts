import { spend } from "../budget.ts";
import type { Leaf } from "./leaf.ts";
import { leafMaskOf, setBit } from "./leaf-masks.ts";
import type { TokenTree } from "./vocabulary.ts";

/** What follows a piece of text. */
export interface Frame {
  /** Equal for frames that behave alike. */
  readonly key: string;
  /** Whether what is inside of it is no level deeper in a JSON document. Default: it is. */
  readonly isFlat?: true;
  /** @param label of the piece that has ended. @param at where it has ended. */
  resume(label: number, at: Place, out: Output): void;
}

/** A frame, and the place that goes on when all of it has ended; null: the end of the text. */
export interface Place {
  readonly id: number;
  readonly frame: Frame;
  readonly parent: Place | null;
  /** Number of places around it. */
  readonly depth: number;
  readonly after: Map<number, Ways>;
}

/** Takes all that may follow. */
export interface Output {
  /** A piece of text, and the place after it. @param start a state of the leaf. */
  read(leaf: Leaf, place: Place | null, start?: number): void;
  /** Nothing more: the place goes on. */
  end(place: Place | null): void;
  place(frame: Frame, parent: Place | null): Place;
}

/** One way to read the text so far. */
interface Thread {
  readonly id: number;
  readonly leaf: Leaf;
  readonly state: number;
  readonly place: Place | null;
}

interface Ways {
  readonly threads: readonly Thread[];
  readonly isComplete: boolean;
}

/** Where a text is: all ways to read it. */
export interface State extends Ways {
  readonly id: number;
  readonly next: Map<number, State | null>;
  mask: Uint32Array | null;
}

/** A machine that reads texts byte by byte, and knows which tokens may follow. */
export interface Machine {
  readonly start: State;
  /** The state after a byte; null: it is not allowed. */
  step(state: State, byte: number): State | null;
  /** The state after a special token; null: it is not allowed. */
  special(state: State, id: number): State | null;
  /** Whether a piece of text that is being read has the byte next: false, and `step` gives null. */
  mayRead(state: State, byte: number): boolean;
  /** Tokens that may follow, a bit each; the end of the text is not among them. Do not change it. */
  mask(state: State): Uint32Array;
}

const where = "constraint";

/** States and masks that are kept to be used again. */
const mostKept = 20_000;
const mostMasks = 1_000;

/** The machine's ways through a text. */
const wayFinder = () => {
  const threads = new Map<string, Thread>();
  const places = new Map<string, Place>();
  let threadIds = 0;
  let placeIds = 0;
  const thread = (leaf: Leaf, state: number, place: Place | null): Thread => {
    const key = `${leaf.id}:${state}:${place?.id ?? -1}`;
    let found = threads.get(key);
    if (found === undefined) {
      spend(40, where);
      found = { id: threadIds++, leaf, state, place };
      threads.set(key, found);
    }
    return found;
  };
  const placeOf = (frame: Frame, parent: Place | null): Place => {
    const key = `${parent?.id ?? -1}:${frame.key}`;
    let found = places.get(key);
    if (found === undefined) {
      spend(40, where);
      const depth = (parent?.depth ?? -1) + (frame.isFlat === true ? 0 : 1);
      found = { id: placeIds++, frame, parent, depth, after: new Map() };
      places.set(key, found);
    }
    return found;
  };
  /** Collects all ways that `give` tells. */
  const collect = (
    give: (out: Output, add: (leaf: Leaf, state: number, place: Place | null) => void) => void,
  ): Ways => {
    const found = new Map<number, Thread>();
    let isComplete = false;
    const join = (ways: Ways): void => {
      spend(ways.threads.length, where);
      for (const one of ways.threads) found.set(one.id, one);
      isComplete ||= ways.isComplete;
    };
    const end = (place: Place | null, label = 0): void => {
      if (place === null) isComplete = true;
      else join(after(place, label));
    };
    const add = (leaf: Leaf, state: number, place: Place | null): void => {
      if (leaf.isOpen?.(state) === true) isComplete = true;
      spend(20, where);
      if (leaf.goesOn(state)) {
        const one = thread(leaf, state, place);
        found.set(one.id, one);
      }
      const label = leaf.label(state);
      if (label >= 0) end(place, label);
    };
    give({ read: (leaf, place, start = leaf.start) => add(leaf, start, place), end, place: placeOf }, add);
    return { threads: [...found.values()].sort((a, b) => a.id - b.id), isComplete };
  };
  /** All ways after a piece of text with a label. */
  const after = (place: Place, label: number): Ways => {
    const known = place.after.get(label);
    if (known !== undefined) return known;
    const ways = collect((out) => place.frame.resume(label, place, out));
    place.after.set(label, ways);
    return ways;
  };
  return {
    collect,
    after,
    size: () => threads.size,
    forget: () => {
      threads.clear();
      places.clear();
    },
  };
};

/** @param begin tells what the text may begin with. */
export const createMachine = (tree: TokenTree, begin: (out: Output) => void): Machine => {
  const finder = wayFinder();
  const states = new Map<string, State>();
  let masked: State[] = [];
  let ids = 0;
  const stateOf = (ways: Ways): State => {
    const key = `${ways.isComplete}${ways.threads.map(({ id }) => id).join()}`;
    let found = states.get(key);
    if (found === undefined) {
      if (states.size >= mostKept || finder.size() >= mostKept) {
        // States in use stay valid; their like is found again.
        states.clear();
        finder.forget();
      }
      found = { ...ways, id: ids++, next: new Map(), mask: null };
      states.set(key, found);
    }
    return found;
  };
  const step = (state: State, byte: number): State | null => {
    const known = state.next.get(byte);
    if (known !== undefined) return known;
    const ways = finder.collect((_, add) => {
      for (const { leaf, state: at, place } of state.threads) {
        const to = leaf.step(at, byte);
        if (to >= 0) add(leaf, to, place);
      }
    });
    const next = ways.threads.length === 0 && !ways.isComplete ? null : stateOf(ways);
    state.next.set(byte, next);
    return next;
  };
  const special = (state: State, id: number): State | null => {
    const ways = finder.collect((_, add) => {
      for (const { leaf, state: at, place } of state.threads) {
        const to = leaf.special?.(at, id) ?? -1;
        if (to >= 0) add(leaf, to, place);
      }
    });
    return ways.threads.length === 0 && !ways.isComplete ? null : stateOf(ways);
  };
  /** Adds the tokens of a subtree that `state` can read. */
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
    for (const { leaf, state: at, place } of state.threads) {
      const own = leafMaskOf(tree, leaf, at);
      spend((bits.length >> 3) + own.exits.length, where);
      for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] as number) | (own.bits[i] as number);
      let label = -1;
      let after: State | null = null;
      for (let i = 0; i < own.exits.length; i += 2) {
        const node = own.exits[i] as number;
        if (own.exits[i + 1] !== label) {
          label = own.exits[i + 1] as number;
          const ways = place === null ? { threads: [], isComplete: true } : finder.after(place, label);
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
  return {
    start: stateOf(finder.collect(begin)),
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
