import { ConfigError } from "../../../core/errors/errors.ts";
import { spend } from "../budget.ts";
import { type CharSet, complementOf } from "./char-set.ts";
import { classOf, type Partition, partitionOf, refined } from "./partition.ts";

/** A deterministic finite automaton over characters. An accepting state can be reached from every state. */
export interface Dfa {
  readonly partition: Partition;
  /**
   * Transitions: `next[state * classes + class]` is the state after a character of the class, or −1 if no allowed text
   * continues with this character.
   */
  readonly next: Int32Array;
  /** For each state: the label of a text that ends in this state, from 0, or -1 if no text may end there. */
  readonly labels: Int32Array;
  /** The first state, or -1 if the automaton accepts no text. */
  readonly start: number;
}

/** Maximum number of states of an automaton. More states would need seconds to compile. */
export const mostStates = 60_000;

export const tooLarge = (where: string): ConfigError =>
  new ConfigError({
    where,
    must: `must fit into an automaton of at most ${mostStates} states`,
    got: "more",
    hint: "fewer or shorter repetitions",
  });

/** Removes states that cannot reach an accepting state. */
const trimmed = (dfa: Dfa): Dfa => {
  const { partition, next, labels, start } = dfa;
  const { count } = partition;
  const size = labels.length;
  // The incoming edges of each state, as linked lists.
  const heads = new Int32Array(size).fill(-1);
  const links = new Int32Array(next.length);
  const live = new Uint8Array(size);
  const queue: number[] = [];
  for (let edge = 0; edge < next.length; edge++) {
    const to = next[edge] as number;
    if (to < 0) continue;
    links[edge] = heads[to] as number;
    heads[to] = edge;
  }
  for (let state = 0; state < size; state++) {
    if ((labels[state] as number) < 0) continue;
    live[state] = 1;
    queue.push(state);
  }
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    for (let edge = heads[state] as number; edge >= 0; edge = links[edge] as number) {
      const from = Math.floor(edge / count);
      if (live[from] === 1) continue;
      live[from] = 1;
      queue.push(from);
    }
  }
  if (!live.includes(0)) return dfa;
  const renamed = new Int32Array(size).fill(-1);
  let kept = 0;
  for (let state = 0; state < size; state++) if (live[state] === 1) renamed[state] = kept++;
  const keptNext = new Int32Array(kept * count).fill(-1);
  const keptLabels = new Int32Array(kept).fill(-1);
  for (let state = 0; state < size; state++) {
    const to = renamed[state] as number;
    if (to < 0) continue;
    keptLabels[to] = labels[state] as number;
    for (let c = 0; c < count; c++) {
      const target = next[state * count + c] as number;
      keptNext[to * count + c] = target < 0 ? -1 : (renamed[target] as number);
    }
  }
  return { partition, next: keptNext, labels: keptLabels, start: start < 0 ? -1 : (renamed[start] as number) };
};

/**
 * Builds an automaton by finding its states one after another. Each key is one state. The first state that is found has
 * the number 0.
 */
export const explore = (
  partition: Partition,
  first: string,
  where: string,
  look: (key: string) => { readonly label: number; readonly targets: readonly (string | null)[] },
): Dfa => {
  const known = new Map([[first, 0]]);
  const keys = [first];
  const next: number[] = [];
  const labels: number[] = [];
  for (let state = 0; state < keys.length; state++) {
    spend(partition.count, where);
    const { label, targets } = look(keys[state] as string);
    labels.push(label);
    for (let c = 0; c < partition.count; c++) {
      const key = targets[c] ?? null;
      if (key === null) {
        next.push(-1);
        continue;
      }
      let to = known.get(key);
      if (to === undefined) {
        to = keys.length;
        if (to >= mostStates) throw tooLarge(where);
        known.set(key, to);
        keys.push(key);
      }
      next.push(to);
    }
  }
  return trimmed({ partition, next: Int32Array.from(next), labels: Int32Array.from(labels), start: 0 });
};

/**
 * Product of two automata.
 * @param combine computes the label of a text from its labels in `a` and `b`. -1 means that the automaton does not
 * accept the text.
 */
export const product = (a: Dfa, b: Dfa, combine: (a: number, b: number) => number, where: string): Dfa => {
  spend(a.partition.starts.length + b.partition.starts.length, where);
  const { partition, pairs } = refined(a.partition, b.partition);
  const width = b.labels.length + 1;
  const bothNeeded = combine(-1, 0) < 0 && combine(0, -1) < 0;
  const leftNeeded = combine(-1, 0) < 0;
  const known = new Map<number, number>();
  const states: number[] = [];
  const labels: number[] = [];
  const next: number[] = [];
  const add = (left: number, right: number): number => {
    if ((bothNeeded && (left < 0 || right < 0)) || (leftNeeded && left < 0) || (left < 0 && right < 0)) return -1;
    const key = (left + 1) * width + right + 1;
    const state = known.get(key);
    if (state !== undefined) return state;
    if (states.length >= mostStates) throw tooLarge(where);
    known.set(key, states.length);
    states.push(key);
    return states.length - 1;
  };
  const start = add(a.start, b.start);
  for (let state = 0; state < states.length; state++) {
    spend(2 * pairs.length, where);
    const key = states[state] as number;
    const left = Math.floor(key / width) - 1;
    const right = (key % width) - 1;
    labels.push(combine(left < 0 ? -1 : (a.labels[left] as number), right < 0 ? -1 : (b.labels[right] as number)));
    for (const [l, r] of pairs) {
      next.push(
        add(
          left < 0 ? -1 : (a.next[left * a.partition.count + l] as number),
          right < 0 ? -1 : (b.next[right * b.partition.count + r] as number),
        ),
      );
    }
  }
  return trimmed({ partition, next: Int32Array.from(next), labels: Int32Array.from(labels), start });
};

export const both = (a: Dfa, b: Dfa, where: string): Dfa => product(a, b, (l, r) => (r < 0 ? -1 : l), where);
export const eitherOf = (a: Dfa, b: Dfa, where: string): Dfa => product(a, b, (l, r) => Math.max(l, r), where);
export const without = (a: Dfa, b: Dfa, where: string): Dfa => product(a, b, (l, r) => (r < 0 ? l : -1), where);

/** An automaton for all texts with only characters of the set. */
export const textsOf = (set: CharSet): Dfa => {
  const { partition, members } = partitionOf([set, complementOf(set)]);
  const next = new Int32Array(partition.count).fill(-1);
  for (const c of members[0] ?? []) next[c] = 0;
  return { partition, next, labels: Int32Array.of(0), start: 0 };
};

/**
 * An automaton that accepts exactly the given texts; the label of a text is its index. @param where the part of a
 * constraint that contains the texts, for errors.
 */
export const listed = (texts: readonly string[], where = "constraint"): Dfa => {
  const { partition } = partitionOf(
    [...new Set(texts.flatMap((text) => Array.from(text)))].map((char) => {
      const code = char.codePointAt(0) ?? 0;
      return [code, code];
    }),
    where,
  );
  const { count } = partition;
  const next: number[] = new Array(count).fill(-1);
  const labels: number[] = [-1];
  texts.forEach((text, label) => {
    let state = 0;
    for (const char of text) {
      const edge = state * count + classOf(partition, char.codePointAt(0) ?? 0);
      if ((next[edge] as number) < 0) {
        if (labels.length >= mostStates) throw tooLarge(where);
        spend(1 + (count >> 1), where);
        next[edge] = labels.length;
        labels.push(-1);
        for (let c = 0; c < count; c++) next.push(-1);
      }
      state = next[edge] as number;
    }
    labels[state] = label;
  });
  const start = texts.length === 0 ? -1 : 0;
  return { partition, next: Int32Array.from(next), labels: Int32Array.from(labels), start };
};

/** The label of a text, or -1 if the automaton does not accept the text. */
export const labelOf = (dfa: Dfa, text: string): number => {
  let state = dfa.start;
  for (const char of text) {
    if (state < 0) return -1;
    const c = classOf(dfa.partition, char.codePointAt(0) ?? 0);
    state = c < 0 ? -1 : (dfa.next[state * dfa.partition.count + c] as number);
  }
  return state < 0 ? -1 : (dfa.labels[state] as number);
};
