import { ConfigError } from "../../../core/errors/errors.ts";
import { spend } from "../budget.ts";
import type { CharSet } from "./char-set.ts";
import { type Dfa, explore, mostStates } from "./dfa.ts";
import { partitionOf } from "./partition.ts";
import type { Regex } from "./regex.ts";

/** A nondeterministic automaton, by Thompson's construction. */
interface Nfa {
  /** For each state: the states that can be reached without reading a character. */
  readonly empty: number[][];
  /**
   * Like `empty`, but with conditions. The steps in `begin` are allowed only at the beginning of the text. The steps in
   * `end` are allowed only at its end.
   */
  readonly begin: number[][];
  readonly end: number[][];
  /**
   * For each state: the index of the set of characters that the state reads, and the next state. Null if the state
   * reads no character.
   */
  readonly reads: ({ readonly set: number; readonly to: number } | null)[];
  readonly sets: CharSet[];
}

const mostNfaStates = 8 * mostStates;

/** Builds an automaton from regular expressions. */
const builder = (where: string) => {
  const nfa: Nfa = { empty: [], begin: [], end: [], reads: [], sets: [] };
  const numbers = new Map<CharSet, number>();
  const state = (): number => {
    spend(4, where);
    if (nfa.empty.length >= mostNfaStates) {
      throw new ConfigError({
        where,
        must: `must have at most ${mostNfaStates} parts`,
        got: "more",
        hint: "fewer repetitions",
      });
    }
    nfa.empty.push([]);
    nfa.begin.push([]);
    nfa.end.push([]);
    return nfa.reads.push(null) - 1;
  };
  const numberOf = (set: CharSet): number => {
    const known = numbers.get(set);
    if (known !== undefined) return known;
    numbers.set(set, nfa.sets.length);
    return nfa.sets.push(set) - 1;
  };
  /** Adds `regex` with `from` as its first state. Returns its last state. */
  const add = (regex: Regex, from: number): number => {
    spend(1, where);
    switch (regex.kind) {
      case "set": {
        const at = state();
        const to = state();
        nfa.empty[from]?.push(at);
        nfa.reads[at] = { set: numberOf(regex.set), to };
        return to;
      }
      case "sequence":
        return regex.parts.reduce((at, part) => add(part, at), from);
      case "either": {
        const to = state();
        for (const option of regex.options) {
          const at = state();
          nfa.empty[from]?.push(at);
          nfa.empty[add(option, at)]?.push(to);
        }
        return to;
      }
      case "repeat": {
        let at = from;
        for (let i = 0; i < regex.least; i++) at = add(regex.part, at);
        if (regex.most === null) {
          const loop = state();
          nfa.empty[at]?.push(loop);
          nfa.empty[add(regex.part, loop)]?.push(loop);
          const out = state();
          nfa.empty[loop]?.push(out);
          return out;
        }
        const to = state();
        nfa.empty[at]?.push(to);
        for (let i = regex.least; i < regex.most; i++) {
          at = add(regex.part, at);
          nfa.empty[at]?.push(to);
        }
        return to;
      }
      case "begin":
      case "end": {
        const to = state();
        nfa[regex.kind][from]?.push(to);
        return to;
      }
      default:
        return regex satisfies never;
    }
  };
  return { nfa, state, add };
};

/** The automaton of all texts that the whole expression matches, from ^ to $. The label of every text is 0. */
export const dfaOf = (regex: Regex, where: string): Dfa => {
  const { nfa, state, add } = builder(where);
  const first = state();
  const last = add(regex, first);
  const { partition, members } = partitionOf(nfa.sets, where);
  /** All states that can be reached without reading a character. */
  const closure = (seeds: Iterable<number>, atBegin: boolean, atEnd: boolean): Set<number> => {
    const found = new Set(seeds);
    for (const at of found) {
      spend(4 + (nfa.empty[at]?.length ?? 0), where);
      for (const to of nfa.empty[at] ?? []) found.add(to);
      if (atBegin) for (const to of nfa.begin[at] ?? []) found.add(to);
      if (atEnd) for (const to of nfa.end[at] ?? []) found.add(to);
    }
    return found;
  };
  /** The key of a set of states. The key contains only states that read characters or can lead to the end. */
  const keyOf = (states: Set<number>): string =>
    [...states]
      .filter((at) => nfa.reads[at] !== null || at === last || (nfa.end[at]?.length ?? 0) > 0)
      .sort((a, b) => a - b)
      .join();
  const firstKey = `^${keyOf(closure([first], true, false))}`;
  return explore(partition, firstKey, where, (key) => {
    const isFirst = key.startsWith("^");
    const text = isFirst ? key.slice(1) : key;
    const states = text === "" ? [] : text.split(",").map(Number);
    const atEnd = closure(isFirst ? [...states, first] : states, isFirst, true);
    const targets: Set<number>[] = Array.from({ length: partition.count }, () => new Set());
    for (const at of states) {
      const read = nfa.reads[at];
      if (read == null) continue;
      spend(members[read.set]?.length ?? 0, where);
      for (const c of members[read.set] ?? []) targets[c]?.add(read.to);
    }
    return {
      label: atEnd.has(last) ? 0 : -1,
      targets: targets.map((seeds) => (seeds.size === 0 ? null : keyOf(closure(seeds, false, false)))),
    };
  });
};
