/** Objects and arrays as frames. A frame decides which pieces may follow each piece of an object or array. */
import type { Dfa } from "../automata/dfa.ts";
import { freeDfa } from "../schema/strings.ts";
import type { ArraySpec, ObjectSpec, ValueNode } from "../schema/value-node.ts";
import { type CharacterLeaf, characterLeaf, type FreeLeaf, labelsOf } from "./character-leaf.ts";
import { type Leaf, markLeaf, textLeaf } from "./leaf.ts";
import type { TokenTree } from "./vocabulary.ts";
import type { Frame, Output, Stack } from "./ways.ts";

/** Maximum number of states of a leaf. If a leaf grows larger, a new leaf replaces it, so that memory stays limited. */
const mostLeafStates = 20_000;

/** Leaves that all schemas share if they use the same vocabulary. */
const shared = new WeakMap<TokenTree, WeakMap<Dfa, Map<boolean, CharacterLeaf>>>();

export const leafOfDfa = (tree: TokenTree, dfa: Dfa, quoted: boolean): CharacterLeaf => {
  const all = shared.get(tree) ?? new WeakMap<Dfa, Map<boolean, CharacterLeaf>>();
  shared.set(tree, all);
  const own = all.get(dfa) ?? new Map<boolean, CharacterLeaf>();
  all.set(dfa, own);
  const known = own.get(quoted);
  if (known !== undefined && known.size() < mostLeafStates) return known;
  const free = freeDfa(tree.alphabet);
  const made = characterLeaf(dfa, {
    quoted,
    longest: tree.longest,
    free: quoted && dfa !== free ? freeLeaf(tree) : null,
  });
  own.set(quoted, made);
  return made;
};

/** The leaf for strings of any characters. The masks of other leaves are derived from its masks. */
const freeLeaf = (tree: TokenTree): FreeLeaf | null => leafOfDfa(tree, freeDfa(tree.alphabet), true).asFree();

const bitsIn = (set: bigint): number => {
  let count = 0;
  for (let rest = set; rest > 0n; rest &= rest - 1n) count++;
  return count;
};

/** The leaves for a schema's values. Each leaf is created once. */
const jsonLeaves = (tree: TokenTree) => {
  const marks = new Map<string, Leaf>();
  const mark = (before: string, depth: number, after: string): Leaf => {
    const key = `${before}${depth}${after}`;
    const made = marks.get(key) ?? markLeaf(before, depth, after);
    marks.set(key, made);
    return made;
  };
  const colon = textLeaf([":", ": "]);
  const noMembers = textLeaf(["}"]);
  const noItems = textLeaf(["]"]);
  const values = new Map<string, Leaf>();
  const valueLeaf = (text: string): Leaf => {
    const made = values.get(text) ?? textLeaf([text]);
    values.set(text, made);
    return made;
  };
  const texts = new Map<ValueNode, Leaf>();
  const textsOf = (node: ValueNode): Leaf => {
    const made = texts.get(node) ?? textLeaf(node.texts);
    texts.set(node, made);
    return made;
  };
  const keyLeaves = new Map<ObjectSpec, CharacterLeaf>();

  const keyLeaf = (spec: ObjectSpec): CharacterLeaf => {
    const known = keyLeaves.get(spec);
    if (known !== undefined) return known;
    const dfa = spec.keys();
    const others = spec.possible() & ~((1n << BigInt(spec.names.length)) - 1n);
    const made = characterLeaf(dfa, {
      quoted: true,
      longest: tree.longest,
      labels: labelsOf(dfa, others),
      free: freeLeaf(tree),
    });
    keyLeaves.set(spec, made);
    return made;
  };
  return { mark, colon, noMembers, noItems, valueLeaf, textsOf, keyLeaf };
};

/** Labels of the names that may be written next, one bit for each label. */
const allowedNames = (spec: ObjectSpec, seen: bigint, count: number): bigint => {
  if (count >= spec.maxProperties) return 0n;
  const missing = spec.required & ~seen;
  const names = (1n << BigInt(spec.names.length)) - 1n;
  const left = spec.possible() & ~(seen & names);
  return spec.maxProperties - count === bitsIn(missing) ? missing : left;
};

/** The number of members. All numbers above the largest limit become equal, because they have the same effect. */
const counted = ({ minProperties, maxProperties }: ObjectSpec, count: number): number =>
  maxProperties < Number.POSITIVE_INFINITY ? count : Math.min(count, minProperties);

const isUnique = (spec: ArraySpec): boolean => spec.unique && spec.maxItems() > 1;

/** Makes the frames of the values of a schema. */
export const jsonFrames = (tree: TokenTree) => {
  const { mark, colon, noMembers, noItems, valueLeaf, textsOf, keyLeaf } = jsonLeaves(tree);

  const begin = (node: ValueNode, stack: Stack, out: Output): void => {
    const depth = stack.depth + 1;
    if (node.texts.length > 0) out.read(textsOf(node), stack);
    for (const dfa of node.numbers) out.read(leafOfDfa(tree, dfa, false), stack);
    for (const { dfa, least, most } of node.strings) {
      const leaf = leafOfDfa(tree, dfa, true);
      out.read(leaf, stack, leaf.from({ least, most }));
    }
    for (const spec of node.arrays) {
      if (spec.isPossible()) out.read(mark("[", depth + 1, ""), out.push(itemsFrame(spec, 0, 0, 0n, false), stack));
    }
    for (const spec of node.objects) {
      if (spec.isPossible()) out.read(mark("{", depth + 1, ""), out.push(membersFrame(spec, 0n, 0, "first"), stack));
    }
  };

  /** An object after the names `seen` were written. `phase` is the piece that has just ended. */
  const membersFrame = (spec: ObjectSpec, seen: bigint, count: number, phase: "first" | "comma" | "value"): Frame => ({
    key: `o${spec.id},${seen},${count},${phase}`,
    resume: (_, at, out) => {
      const allowed = allowedNames(spec, seen, count);
      if (phase !== "comma" && (spec.required & ~seen) === 0n && count >= spec.minProperties) {
        out.read(phase === "first" ? noMembers : mark("", at.depth, "}"), at.parent);
      }
      if (allowed === 0n) return;
      if (phase === "value") {
        out.read(mark(",", at.depth + 1, ""), out.push(membersFrame(spec, seen, count, "comma"), at.parent));
        return;
      }
      const leaf = keyLeaf(spec);
      out.read(leaf, out.push(keyFrame(spec, seen, count, allowed), at.parent), leaf.from({ allowed }));
    },
  });

  const keyFrame = (spec: ObjectSpec, seen: bigint, count: number, allowed: bigint): Frame => ({
    key: `k${spec.id},${seen},${count}`,
    resume: (label, at, out) => {
      if ((allowed & (1n << BigInt(label))) === 0n) return;
      out.read(colon, out.push(colonFrame(spec, seen, count, label), at.parent));
    },
  });

  const colonFrame = (spec: ObjectSpec, seen: bigint, count: number, label: number): Frame => ({
    key: `c${spec.id},${seen},${count},${label}`,
    resume: (_, at, out) => {
      const isName = label < spec.names.length;
      const next = membersFrame(spec, isName ? seen | (1n << BigInt(label)) : seen, counted(spec, count + 1), "value");
      begin(spec.child(label), out.push(next, at.parent), out);
    },
  });

  /**
   * An array that already has `count` items.
   * @param matching number of items so far that match `contains`.
   * @param used with `uniqueItems`: the values already used, one bit for each value.
   */
  const itemsFrame = (spec: ArraySpec, count: number, matching: number, used: bigint, isAfter: boolean): Frame => ({
    key: `a${spec.id},${count},${matching},${used},${isAfter}`,
    resume: (_, at, out) => {
      const most = spec.maxItems();
      const missing = spec.leastCounted - matching;
      if (count >= spec.minItems && missing <= 0) {
        out.read(isAfter ? mark("", at.depth, "]") : noItems, at.parent);
      }
      if (count >= most || (isUnique(spec) && bitsIn(used) >= spec.item(0).texts.length)) return;
      if (isAfter) {
        out.read(mark(",", at.depth + 1, ""), out.push(nextItemFrame(spec, count, matching, used), at.parent));
      } else nextItemFrame(spec, count, matching, used).resume(0, at, out);
    },
  });

  const nextItemFrame = (spec: ArraySpec, count: number, matching: number, used: bigint): Frame => ({
    key: `i${spec.id},${count},${matching},${used}`,
    resume: (_, at, out) => {
      const missing = spec.leastCounted - matching;
      const limit = Math.max(spec.alikeFrom, spec.minItems);
      const next = spec.maxItems() < Number.POSITIVE_INFINITY ? count + 1 : Math.min(count + 1, limit);
      if (isUnique(spec)) {
        spec.item(0).texts.forEach((value, i) => {
          const bit = 1n << BigInt(i);
          if ((used & bit) !== 0n) return;
          const after = out.push(itemsFrame(spec, next, matching, used | bit, true), at.parent);
          out.read(valueLeaf(value), after);
        });
        return;
      }
      const after = (matched: number): Stack => out.push(itemsFrame(spec, next, matched, 0n, true), at.parent);
      if (missing > 0 && spec.counted(count).inhabited) begin(spec.counted(count), after(matching + 1), out);
      // Enough positions must remain for items that match `contains`.
      if (missing <= 0 || spec.countable(count + 1) >= missing) begin(spec.item(count), after(matching), out);
    },
  });

  return { begin };
};
