/**
 * All ways to read a text so far. Some ways read the same piece at the same state, and differ only in the pieces that
 * must follow. These ways become one thread with several tops of its stack (a graph-structured stack). So the number of
 * threads does not double at each level if alternatives differ late.
 */
import { spend } from "../budget.ts";
import type { Leaf } from "./leaf.ts";

/** A continuation. A continuation decides which pieces may follow a piece of text. */
export interface Frame {
  /** Frames with equal keys behave in the same way. */
  readonly key: string;
  /**
   * True: the contents of the frame are at the same level of the JSON document as the frame. By default, they are one
   * level deeper.
   */
  readonly isFlat?: true;
  /**
   * Reports which pieces may follow. @param label label of the piece that has ended. @param at the position on the
   * stack at which the piece has ended.
   */
  resume(label: number, at: Place, out: Output): void;
}

/** A frame, and the stack that continues after the frame's contents have ended. */
export interface Place {
  readonly id: number;
  readonly frame: Frame;
  readonly parent: Stack;
  /** Number of enclosing levels in the JSON document. */
  readonly depth: number;
  readonly after: Map<number, Ways>;
}

/**
 * The pieces that may follow a text: each of these places may continue it. All places have the same depth, and their
 * frames have different keys.
 */
export interface Stack {
  readonly id: number;
  readonly places: readonly Place[];
  /** Whether the text may also end. */
  readonly mayEnd: boolean;
  readonly depth: number;
  /** Maximum number of frames from the top to the bottom of the stack. */
  readonly height: number;
  readonly after: Map<number, Ways>;
  /** Unions of this stack with older stacks, by the id of the older stack. */
  readonly unions: Map<number, Stack>;
}

/** The empty stack: no piece follows, so the text ends. */
export const bottom: Stack = {
  ...{ id: 0, places: [], mayEnd: true, depth: -1, height: 0 },
  ...{ after: new Map(), unions: new Map() },
};

/** Receives all pieces that may follow. */
export interface Output {
  /**
   * Reports that a piece of text may follow, and that the stack `stack` comes after it. @param start a state of the
   * leaf.
   */
  read(leaf: Leaf, stack: Stack, start?: number): void;
  /** Reports that no piece is read here, so `stack` continues. */
  end(stack: Stack): void;
  /** Puts a frame on a stack. */
  push(frame: Frame, parent: Stack): Stack;
}

/** A piece of text that is being read. */
export interface Thread {
  readonly id: number;
  /** Threads with the same leaf, state and depth have the same slot, and are merged. */
  readonly slot: string;
  readonly leaf: Leaf;
  readonly state: number;
  readonly stack: Stack;
}

export interface Ways {
  readonly threads: readonly Thread[];
  /** Whether the text may end here. */
  readonly isComplete: boolean;
}

/** Receives ways and merges ways that read the same piece at the same state. */
interface Collector extends Output {
  /** Adds a leaf in the state after a step. */
  add(leaf: Leaf, state: number, stack: Stack): void;
  join(ways: Ways): void;
}

const where = "constraint";

/**
 * If the height of a stack is a multiple of this number, the ways after the stack are computed at once. This limits the
 * nesting of later calls.
 */
const frequentHeight = 64;

/**
 * Creates the stacks of a machine. Equal stacks are the same object.
 * @param look called for each stack with a height that is a multiple of `frequentHeight`.
 */
const stackMaker = (look: (stack: Stack) => void) => {
  const places = new Map<string, Place>();
  const stacks = new Map<string, Stack>();
  let ids = 1;
  const placeOf = (frame: Frame, parent: Stack): Place => {
    const key = `${parent.id}:${frame.key}`;
    let found = places.get(key);
    if (found === undefined) {
      spend(40, where);
      const depth = parent.depth + (frame.isFlat === true ? 0 : 1);
      found = { id: ids++, frame, parent, depth, after: new Map() };
      places.set(key, found);
    }
    return found;
  };
  const stackOf = (own: readonly Place[], mayEnd: boolean, depth: number): Stack => {
    const [only] = own;
    const sorted = own.length < 2 ? own : [...own].sort((a, b) => a.id - b.id);
    const key = only !== undefined && own.length === 1 ? `${only.id}` : sorted.map(({ id }) => id).join();
    const full = mayEnd ? `${key}.` : key;
    let found = stacks.get(full);
    if (found === undefined) {
      spend(20 + own.length, where);
      const height = own.reduce((most, { parent }) => Math.max(most, parent.height + 1), 0);
      found = { id: ids++, places: sorted, mayEnd, depth, height, after: new Map(), unions: new Map() };
      stacks.set(full, found);
      if (height % frequentHeight === 0) look(found);
    }
    return found;
  };
  /**
   * Union of two stacks of the same depth. Two places with equal frames become one place. The new place's parent is the
   * union of the two parents.
   */
  const unionOf = (a: Stack, b: Stack): Stack => {
    if (a === b) return a;
    if (a.id < b.id) return unionOf(b, a);
    const known = a.unions.get(b.id);
    if (known !== undefined) return known;
    spend(40 + 8 * (a.places.length + b.places.length), where);
    const byFrame = new Map(a.places.map((place) => [place.frame.key, place]));
    for (const place of b.places) {
      const other = byFrame.get(place.frame.key);
      byFrame.set(place.frame.key, other === undefined ? place : together(other, place));
    }
    const own = [...byFrame.values()];
    const mayEnd = a.mayEnd || b.mayEnd;
    // If one stack contains the other, the larger stack itself is returned, even if it is no longer in `stacks`.
    const made = [a, b].find((one) => one.mayEnd === mayEnd && own.every((place) => one.places.includes(place)));
    const union = made ?? stackOf(own, mayEnd, a.depth);
    a.unions.set(b.id, union);
    return union;
  };
  /** Merges two places with equal frames. */
  const together = (a: Place, b: Place): Place => {
    const parent = unionOf(a.parent, b.parent);
    return parent === a.parent ? a : parent === b.parent ? b : placeOf(a.frame, parent);
  };
  return {
    unionOf,
    push: (frame: Frame, parent: Stack): Stack => {
      const place = placeOf(frame, parent);
      return stackOf([place], false, place.depth);
    },
    size: () => stacks.size,
    forget: () => {
      places.clear();
      stacks.clear();
    },
  };
};

/** Clears the cached ways after a stack. The ways are computed again when needed. */
const forgetAfter = (stack: Stack): void => {
  stack.after.clear();
  stack.unions.clear();
  for (const { after, parent } of stack.places) {
    after.clear();
    forgetAfter(parent);
  }
};

/** Computes the ways of a machine. */
export const wayFinder = () => {
  const stacks = stackMaker((stack) => after(stack, 0));
  const threads = new Map<string, Thread>();
  let threadIds = 0;
  const thread = (leaf: Leaf, state: number, stack: Stack): Thread => {
    const key = `${leaf.id}:${state}:${stack.id}`;
    let found = threads.get(key);
    if (found === undefined) {
      spend(40, where);
      found = { id: threadIds++, slot: `${leaf.id}:${state}:${stack.depth}`, leaf, state, stack };
      threads.set(key, found);
    }
    return found;
  };
  /** Collects all ways that `give` reports. */
  const collect = (give: (into: Collector) => void): Ways => {
    const found = new Map<string, Thread>();
    let isComplete = false;
    const put = (one: Thread): void => {
      const other = found.get(one.slot);
      if (other === one) return;
      const { leaf, state, stack } = one;
      found.set(one.slot, other === undefined ? one : thread(leaf, state, stacks.unionOf(other.stack, stack)));
    };
    const join = (ways: Ways): void => {
      spend(ways.threads.length, where);
      for (const one of ways.threads) put(one);
      isComplete ||= ways.isComplete;
    };
    const add = (leaf: Leaf, state: number, stack: Stack): void => {
      if (leaf.isOpen?.(state) === true) isComplete = true;
      spend(20, where);
      if (leaf.goesOn(state)) put(thread(leaf, state, stack));
      const label = leaf.label(state);
      if (label >= 0) join(after(stack, label));
    };
    give({
      add,
      join,
      read: (leaf, stack, start = leaf.start) => add(leaf, start, stack),
      end: (stack) => join(after(stack, 0)),
      push: stacks.push,
    });
    return { threads: [...found.values()].sort((a, b) => a.id - b.id), isComplete };
  };
  const atEnd: Ways = { threads: [], isComplete: true };
  const resumed = (place: Place, label: number): Ways => {
    const known = place.after.get(label);
    if (known !== undefined) return known;
    const ways = collect((into) => place.frame.resume(label, place, into));
    place.after.set(label, ways);
    return ways;
  };
  /** All ways after a piece of text with this label. */
  const after = (stack: Stack, label: number): Ways => {
    if (stack === bottom) return atEnd;
    const [only] = stack.places;
    if (only !== undefined && stack.places.length === 1 && !stack.mayEnd) return resumed(only, label);
    const known = stack.after.get(label);
    if (known !== undefined) return known;
    const ways = collect(({ join }) => {
      if (stack.mayEnd) join(atEnd);
      for (const place of stack.places) join(resumed(place, label));
    });
    stack.after.set(label, ways);
    return ways;
  };
  return {
    collect,
    after,
    size: () => threads.size + stacks.size(),
    /** Clears the caches. The ways `but` and all other ways in use stay valid. */
    forget: (but: Ways) => {
      threads.clear();
      stacks.forget();
      for (const { stack } of but.threads) forgetAfter(stack);
    },
  };
};
