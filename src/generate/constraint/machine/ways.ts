/**
 * All ways to read a text so far. Ways that differ in what must follow, but not in what is read now, are one thread with several places
 * to go on: they share their stacks, so a text with alternatives that differ late has a few ways, and not twice as many at each level.
 */
import { spend } from "../budget.ts";
import type { Leaf } from "./leaf.ts";

/** What follows a piece of text. */
export interface Frame {
  /** Equal for frames that behave alike. */
  readonly key: string;
  /** Whether what is inside of it is no level deeper in a JSON document. Default: it is. */
  readonly isFlat?: true;
  /** @param label of the piece that has ended. @param at where it has ended. */
  resume(label: number, at: Place, out: Output): void;
}

/** A frame, and the stack that goes on when all of it has ended. */
export interface Place {
  readonly id: number;
  readonly frame: Frame;
  readonly parent: Stack;
  /** Levels of a JSON document around it. */
  readonly depth: number;
  readonly after: Map<number, Ways>;
}

/** Where a text goes on: at any of these places. No two of them have frames alike, and all are as deep. */
export interface Stack {
  readonly id: number;
  readonly places: readonly Place[];
  /** Whether the text may end, too. */
  readonly mayEnd: boolean;
  readonly depth: number;
  /** The most frames of one way to the end. */
  readonly height: number;
  readonly after: Map<number, Ways>;
  /** Unions with stacks that were there before it, by their ids. */
  readonly unions: Map<number, Stack>;
}

/** Nothing follows: the end of the text. */
export const bottom: Stack = {
  ...{ id: 0, places: [], mayEnd: true, depth: -1, height: 0 },
  ...{ after: new Map(), unions: new Map() },
};

/** Takes all that may follow. */
export interface Output {
  /** A piece of text, and the stack after it. @param start a state of the leaf. */
  read(leaf: Leaf, stack: Stack, start?: number): void;
  /** Nothing more: the stack goes on. */
  end(stack: Stack): void;
  /** A frame on a stack. */
  push(frame: Frame, parent: Stack): Stack;
}

/** A piece of text that is being read. */
export interface Thread {
  readonly id: number;
  /** Equal for the same state of the same leaf, as deep. */
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

/** Takes ways, and puts those together that read the same. */
interface Collector extends Output {
  /** A state of a leaf after a step of it. */
  add(leaf: Leaf, state: number, stack: Stack): void;
  join(ways: Ways): void;
}

const where = "constraint";

/** What follows stacks of each so many frames is found as they are made, so that calls are never nested deeper to find it. */
const frequentHeight = 64;

/** The stacks of a machine: equal ones are the same object. @param look is called with stacks of each so many frames. */
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
  /** Both stacks, as deep. Places with frames alike become one, with both of their parents. */
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
    // One that has the other in it stays the same object, also if it was forgotten here.
    const made = [a, b].find((one) => one.mayEnd === mayEnd && own.every((place) => one.places.includes(place)));
    const union = made ?? stackOf(own, mayEnd, a.depth);
    a.unions.set(b.id, union);
    return union;
  };
  /** Two places with frames alike. */
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

/** Forgets what follows these ways, which is found again. */
const forgetAfter = (stack: Stack): void => {
  stack.after.clear();
  stack.unions.clear();
  for (const { after, parent } of stack.places) {
    after.clear();
    forgetAfter(parent);
  }
};

/** Finds the ways of a machine. */
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
  /** Collects all ways that `give` tells. */
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
  /** All ways after a piece of text with a label. */
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
    /** Forgets all ways but these, which stay valid as all others do that are in use. */
    forget: (but: Ways) => {
      threads.clear();
      stacks.forget();
      for (const { stack } of but.threads) forgetAfter(stack);
    },
  };
};
