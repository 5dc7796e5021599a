/**
 * Computes which tokens a leaf allows. A walk over the whole tree of tokens takes milliseconds. So the masks of
 * unlimited strings are computed once for each vocabulary. The masks of limited strings and of names are derived from
 * these masks.
 */
import { spend } from "../budget.ts";
import type { Leaf } from "./leaf.ts";
import type { TokenTree } from "./vocabulary.ts";

/**
 * Mask of a state of a leaf. The mask contains the tokens that stay inside the leaf, and the tree nodes at which the
 * text of the leaf may end.
 */
export interface LeafMask {
  readonly bits: Uint32Array;
  /** Pairs of a node and a label, in the order of the nodes. The text with this label ends at the node. */
  readonly exits: readonly number[];
}

/**
 * A mask for strings of unlimited length. The mask also contains the number of characters up to the end of each token
 * and up to each exit.
 */
interface CountedMask extends LeafMask {
  readonly tokenChars: Uint16Array;
  readonly exitChars: readonly number[];
}

export const setBit = (bits: Uint32Array, id: number): void => {
  bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31));
};

const clearBit = (bits: Uint32Array, id: number): void => {
  bits[id >>> 5] = (bits[id >>> 5] as number) & ~(1 << (id & 31));
};

const where = "constraint";

/** Maximum number of masks that are cached for each leaf. */
const mostMasks = 1_000;

interface Masks {
  readonly own: Map<number, LeafMask>;
  counted: CountedMask | null;
}

const masks = new WeakMap<TokenTree, WeakMap<Leaf, Masks>>();

const masksOf = (tree: TokenTree, leaf: Leaf): Masks => {
  const all = masks.get(tree) ?? new WeakMap<Leaf, Masks>();
  masks.set(tree, all);
  const found = all.get(leaf) ?? { own: new Map(), counted: null };
  all.set(leaf, found);
  return found;
};

/** Walks over the part of the tree that a leaf can read from the state `start`. */
const walk = (
  { bytes, depths, ends, tokens, more, longest, vocabSize }: TokenTree,
  leaf: Leaf,
  start: number,
  seen: (id: number, state: number) => void = () => {},
): LeafMask => {
  const bits = new Uint32Array((vocabSize + 31) >>> 5);
  const exits: number[] = [];
  const states = new Int32Array(longest + 1);
  for (let node = 0; node < bytes.length; ) {
    spend(1, where);
    const depth = depths[node] as number;
    const state = leaf.step(depth === 0 ? start : (states[depth - 1] as number), bytes[node] as number);
    if (state < 0) {
      node = ends[node] as number;
      continue;
    }
    states[depth] = state;
    const label = leaf.label(state);
    if (label >= 0) exits.push(node, label);
    if (!leaf.goesOn(state)) {
      node = ends[node] as number;
      continue;
    }
    for (let id = tokens[node] as number; id >= 0; id = more[id] as number) {
      setBit(bits, id);
      seen(id, state);
    }
    node++;
  }
  return { bits, exits };
};

/** The nodes from the root to a node. */
const pathTo = ({ depths, ends }: TokenTree, node: number): number[] => {
  const path: number[] = [];
  for (let at = 0; path.length <= (depths[node] as number); ) {
    if ((ends[at] as number) <= node) at = ends[at] as number;
    else {
      path.push(at);
      at++;
    }
  }
  return path;
};

/** Number of characters that may still follow in a state. */
type CharsLeft = (state: number) => number;

const countedMask = (tree: TokenTree, leaf: Leaf, start: number, charsLeft: CharsLeft): CountedMask => {
  const found = masksOf(tree, leaf);
  if (found.counted !== null) return found.counted;
  const tokenChars = new Uint16Array(tree.vocabSize);
  const whole = charsLeft(start);
  const mask = walk(tree, leaf, start, (id, state) => {
    tokenChars[id] = whole - charsLeft(state);
  });
  const exitChars: number[] = [];
  for (let i = 0; i < mask.exits.length; i += 2) {
    let state = start;
    const path = pathTo(tree, mask.exits[i] as number);
    for (const node of path.slice(0, -1)) state = leaf.step(state, tree.bytes[node] as number);
    exitChars.push(whole - charsLeft(state));
  }
  found.counted = { ...mask, tokenChars, exitChars };
  return found.counted;
};

/** The mask for a string of limited length, derived from the mask for unlimited strings. */
const limitedMask = ({ vocabSize }: TokenTree, counted: CountedMask, least: number, most: number): LeafMask => {
  const bits = counted.bits.slice();
  for (let id = 0; id < vocabSize; id++) if ((counted.tokenChars[id] as number) > most) clearBit(bits, id);
  const exits: number[] = [];
  counted.exitChars.forEach((chars, i) => {
    if (chars >= least && chars <= most) exits.push(counted.exits[2 * i] as number, counted.exits[2 * i + 1] as number);
  });
  return { bits, exits };
};

/**
 * The mask of state `start`, derived from `base`, which is the mask of state `other`. The function visits only the
 * parts of the tree in which the two states differ.
 */
const differingMask = (tree: TokenTree, leaf: Leaf, start: number, other: number, base: LeafMask): LeafMask => {
  const { bytes, depths, ends, tokens, more, longest } = tree;
  const bits = base.bits.slice();
  const exits: number[] = [];
  let nextExit = 0;
  const baseNode = (): number => base.exits[nextExit] ?? Number.POSITIVE_INFINITY;
  const passExits = (end: number, keeps: boolean): void => {
    for (; baseNode() < end; nextExit += 2) if (keeps) exits.push(baseNode(), base.exits[nextExit + 1] as number);
  };
  const own = new Int32Array(longest + 1);
  const others = new Int32Array(longest + 1);
  const follow = (states: Int32Array, first: number, depth: number, byte: number): number => {
    const before = depth === 0 ? first : (states[depth - 1] as number);
    return before < 0 ? -1 : leaf.step(before, byte);
  };
  for (let node = 0; node < bytes.length; ) {
    spend(1, where);
    const depth = depths[node] as number;
    const byte = bytes[node] as number;
    const state = follow(own, start, depth, byte);
    const usual = follow(others, other, depth, byte);
    const end = ends[node] as number;
    if (state === usual) {
      passExits(end, true);
      node = end;
      continue;
    }
    own[depth] = state;
    others[depth] = usual;
    passExits(node + 1, false);
    const goesOn = state >= 0 && leaf.goesOn(state);
    for (let id = tokens[node] as number; id >= 0; id = more[id] as number) {
      if (goesOn) setBit(bits, id);
      else clearBit(bits, id);
    }
    const label = state < 0 ? -1 : leaf.label(state);
    if (label >= 0) exits.push(node, label);
    node++;
  }
  return { bits, exits };
};

export const leafMaskOf = (tree: TokenTree, leaf: Leaf, from: number): LeafMask => {
  const { own } = masksOf(tree, leaf);
  const start = leaf.sameMasks(from);
  const known = own.get(start);
  if (known !== undefined) return known;
  const hint = leaf.hint?.(start) ?? null;
  let made: LeafMask;
  if (hint === null) made = walk(tree, leaf, start);
  else {
    const counted = countedMask(tree, hint.free, hint.inside, hint.charsLeft);
    if (hint.kind === "limited") made = limitedMask(tree, counted, hint.least, hint.most);
    else {
      const exits = counted.exits.map((value, i) => (i % 2 === 0 ? value : hint.label));
      made = differingMask(tree, leaf, start, hint.like, { bits: counted.bits, exits });
    }
  }
  if (own.size > mostMasks) own.clear();
  own.set(start, made);
  return made;
};
