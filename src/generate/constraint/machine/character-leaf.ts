import type { Dfa } from "../automata/dfa.ts";
import { classOf, rangeOf } from "../automata/partition.ts";
import { spend } from "../budget.ts";
import { type Leaf, leafOf, type MaskHint } from "./leaf.ts";

/** An incomplete character: the first bytes of its UTF-8 bytes or of its JSON escape. */
type Part =
  | {
      readonly kind: "utf8";
      readonly value: number;
      readonly left: number;
      readonly from: number;
      /**
       * Whether every character that begins with these bytes leads to the same state. The automaton is then already in
       * this state.
       */
      readonly isDecided: boolean;
    }
  | { readonly kind: "escape"; readonly text: string };

interface State {
  /** Position in a JSON string: before its first quote, inside the string, or after its last quote. */
  readonly place: "before" | "inside" | "behind";
  readonly at: number;
  readonly part: Part | null;
  /** Minimum and maximum number of characters that may still follow. */
  readonly least: number;
  readonly most: number;
  /** Allowed labels, one bit for each label. -1n allows all labels. */
  readonly allowed: bigint;
}

/** For each state of an automaton: the labels that can be reached from the state, one bit for each label. */
export interface Labels {
  readonly reach: readonly bigint[];
  /** Whether each continuation from a state can still reach a label that is always allowed. */
  readonly open: readonly boolean[];
  /** The labels that are always allowed, one bit for each label. */
  readonly always: bigint;
}

/**
 * How characters are written: directly, or in a JSON string. In a JSON string, each character has exactly one spelling.
 */
export interface Writing {
  readonly quoted: boolean;
  /** Length in bytes of the longest token. */
  readonly longest: number;
  readonly labels?: Labels;
  /** The leaf for strings of any characters. The masks of the new leaf are derived from its masks. Default: none. */
  readonly free?: FreeLeaf | null;
}

/**
 * The leaf for strings of any characters, its state inside a string, and the function that counts the remaining
 * characters.
 */
export type FreeLeaf = Pick<MaskHint, "free" | "inside" | "charsLeft">;

/** Limits of one text, in addition to the automaton. */
export interface Limits {
  /** Minimum and maximum number of characters. Default: no limits. */
  readonly least?: number;
  readonly most?: number;
  /** Allowed labels, one bit for each label. Default: all. */
  readonly allowed?: bigint;
}

/** A leaf that can also begin in a state with limits. */
export interface CharacterLeaf extends Leaf {
  from(limits: Limits): number;
  /**
   * This leaf, if masks of other leaves can be derived from its masks. Null if it does not read quoted strings of any
   * characters.
   */
  asFree(): FreeLeaf | null;
}

/** Number of remaining characters at the beginning of a text with unlimited length. */
const many = 2 ** 20;

/** Escapes in JSON: short escapes such as `\n` and `\"`, and `\u0000` for control characters without a short escape. */
const escapes: readonly (readonly [string, number])[] = [
  ...Object.entries({ '"': 0x22, "\\": 0x5c, b: 8, f: 12, n: 10, r: 13, t: 9 }),
  ...Array.from({ length: 32 }, (_, code) => [`u${code.toString(16).padStart(4, "0")}`, code] as const).filter(
    ([, code]) => ![8, 9, 10, 12, 13].includes(code),
  ),
];

/** The first character with 1, 2, 3 and 4 bytes in UTF-8. */
const firstOf = [0, 0x80, 0x800, 0x10000];

export const labelsOf = (dfa: Dfa, always: bigint): Labels => {
  const { partition, next, labels } = dfa;
  const { count } = partition;
  /** Counts the steps for one loop over all transitions of the automaton. */
  const pass = (): void =>
    spend((next.length * (1 + (labels.reduce((a, b) => Math.max(a, b), 0) >> 7))) >> 1, "constraint");
  const reach: bigint[] = Array.from(labels, (label) => (label < 0 ? 0n : 1n << BigInt(label)));
  const open: boolean[] = Array.from(labels, () => true);
  for (let changed = true; changed; ) {
    changed = false;
    pass();
    for (let state = labels.length - 1; state >= 0; state--) {
      let set = reach[state] ?? 0n;
      for (let c = 0; c < count; c++) {
        const to = next[state * count + c] as number;
        if (to >= 0) set |= reach[to] ?? 0n;
      }
      if (set === reach[state]) continue;
      reach[state] = set;
      changed = true;
    }
  }
  for (let changed = true; changed; ) {
    changed = false;
    pass();
    for (let state = labels.length - 1; state >= 0; state--) {
      if (open[state] === false) continue;
      let isOpen = ((reach[state] ?? 0n) & always) !== 0n;
      for (let c = 0; c < count && isOpen; c++) {
        const to = next[state * count + c] as number;
        if (to >= 0 && open[to] === false) isOpen = false;
      }
      if (isOpen) continue;
      open[state] = false;
      changed = true;
    }
  }
  return { reach, open, always };
};

/** A state in which the automaton accepts every continuation, or -1 if there is no such state. */
const anyTextFrom = ({ partition: { classes, count }, next, labels }: Dfa): number => {
  for (let state = 0; state < labels.length; state++) {
    if ((labels[state] as number) < 0) continue;
    if (classes.every((c) => c < 0 || next[state * count + c] === state)) return state;
  }
  return -1;
};

/** Reads the texts of an automaton byte by byte. */
const characterSteps = (dfa: Dfa, { quoted, labels }: Writing) => {
  const { partition, next } = dfa;
  const { count } = partition;
  /** The state after a character, or -1 if the character is not allowed. */
  const after = ({ at, most: left, allowed }: State, c: number): number => {
    if (left === 0 || c < 0) return -1;
    const to = next[at * count + c] as number;
    if (to < 0 || labels === undefined) return to;
    return ((labels.reach[to] ?? 0n) & allowed) === 0n ? -1 : to;
  };
  /** The allowed labels, without the bits that do not matter in a state. Sets with the same effect become equal. */
  const narrowed = (allowed: bigint, at: number): bigint => {
    if (labels === undefined) return -1n;
    const { open, always, reach } = labels;
    return open[at] === true && (allowed & always) === always ? -1n : allowed & (reach[at] ?? 0n);
  };
  const moved = (state: State, code: number): State | null => {
    const to = after(state, classOf(partition, code));
    return to < 0 ? null : arrived(state, to);
  };
  const arrived = (state: State, to: number): State => {
    const allowed = narrowed(state.allowed, to);
    return { ...state, at: to, part: null, least: Math.max(0, state.least - 1), most: state.most - 1, allowed };
  };
  /**
   * The state after any allowed character of a range. The result is -1 if no character is allowed. The result is -2 if
   * characters lead to different states, or if only some characters are allowed.
   */
  const common = (state: State, from: number, to: number): number => {
    let found = -1;
    let isAll = true;
    for (let range = rangeOf(partition, from); (partition.starts[range] ?? to + 1) <= to; range++) {
      const c = partition.classes[range] as number;
      if (c < 0) continue;
      const next = after(state, c);
      if (next < 0) isAll = false;
      else if (found >= 0 && next !== found) return -2;
      else found = next;
    }
    return found >= 0 && !isAll ? -2 : found;
  };
  const lead = (state: State, byte: number): State | null => {
    const left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    if (byte < 0xc2 || byte > 0xf4) return null;
    const part: Part = { kind: "utf8", value: byte & (0x3f >> left), left, from: firstOf[left] ?? 0, isDecided: false };
    return covered(state, part);
  };
  const covered = (state: State, part: Part & { kind: "utf8" }): State | null => {
    const { value, left, from } = part;
    const low = Math.max(from, value * 64 ** left);
    const high = Math.min(0x10ffff, (value + 1) * 64 ** left - 1);
    // Halves of surrogate pairs are not characters.
    if (low > high || (low >= 0xd800 && high <= 0xdfff)) return null;
    if (part.isDecided) return { ...state, part };
    const to = common(state, low, high);
    if (to === -1) return null;
    if (to === -2) return { ...state, part };
    return { ...state, at: to, allowed: narrowed(state.allowed, to), part: { ...part, isDecided: true } };
  };
  const continued = (state: State, part: Part, byte: number): State | null => {
    if (part.kind === "utf8") {
      if (byte < 0x80 || byte > 0xbf) return null;
      const value = part.value * 64 + (byte & 0x3f);
      if (part.left === 1) {
        if (value < part.from || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return null;
        return part.isDecided ? arrived(state, state.at) : moved({ ...state, part: null }, value);
      }
      return covered(state, { ...part, value, left: part.left - 1 });
    }
    return escaped(state, part.text + String.fromCharCode(byte));
  };
  const escaped = (state: State, text: string): State | null => {
    const found = escapes.filter(
      ([name, code]) => name.startsWith(text) && after(state, classOf(partition, code)) >= 0,
    );
    const [first] = found;
    if (first === undefined) return null;
    return first[0] === text ? moved({ ...state, part: null }, first[1]) : { ...state, part: { kind: "escape", text } };
  };
  const label = ({ place, at, part, least: missing, allowed }: State): number => {
    if (part !== null || missing > 0 || place === "before") return -1;
    const own = dfa.labels[at] as number;
    return own < 0 || (labels !== undefined && (allowed & (1n << BigInt(own))) === 0n) ? -1 : own;
  };
  const step = (state: State, byte: number): State | null => {
    const { place, part } = state;
    if (place === "before") return byte === 0x22 ? { ...state, place: "inside" } : null;
    if (place === "behind") return null;
    if (part !== null) return continued(state, part, byte);
    if (quoted) {
      if (byte === 0x22) return label(state) < 0 ? null : { ...state, place: "behind", most: 0 };
      if (byte === 0x5c) return escaped(state, "");
      if (byte < 0x20) return null;
    }
    return byte < 0x80 ? moved(state, byte) : byte < 0xc0 ? null : lead(state, byte);
  };
  const first = ({ least = 0, most = Number.POSITIVE_INFINITY, allowed = -1n }: Limits): State => ({
    place: quoted ? "before" : "inside",
    ...{ at: dfa.start, part: null, least, most },
    allowed: narrowed(allowed, dfa.start),
  });
  return { first, step, label, mayGoOn: (state: State) => common(state, 0, 0x10ffff) !== -1 };
};

/** Reads the texts of an automaton byte by byte. @param dfa must have a first state. */
export const characterLeaf = (dfa: Dfa, writing: Writing): CharacterLeaf => {
  const { quoted, longest, labels } = writing;
  const { first, step, label, mayGoOn } = characterSteps(dfa, writing);
  const { numberOf, stateOf, ...leaf } = leafOf<State>({
    start: first({}),
    key: ({ place, at, part, least: missing, most: left, allowed: bits }) => {
      const begun =
        part === null
          ? ""
          : part.kind === "utf8"
            ? `${part.value}.${part.left}.${part.from}.${part.isDecided}`
            : `\\${part.text}`;
      return `${place}|${at}|${begun}|${missing}|${left}|${bits}`;
    },
    step,
    label: (state) => (quoted && state.place !== "behind" ? -1 : label(state)),
    goesOn: (state) => {
      if (state.place !== "inside" || state.part !== null || quoted) return state.place !== "behind";
      return mayGoOn(state);
    },
    sameMasks: (state) => ({
      ...state,
      least: Math.min(state.least, longest),
      most: state.most >= longest ? Number.POSITIVE_INFINITY : state.most,
    }),
  });
  const anyText = quoted ? anyTextFrom(dfa) : -1;
  const inside = (at: number, most: number): number =>
    numberOf({ place: "inside", at, part: null, least: 0, most, allowed: -1n });
  const asFree = (): FreeLeaf | null => {
    if (anyText < 0 || anyText !== dfa.start || labels !== undefined) return null;
    const charsLeft = (state: number): number => stateOf(state).most - (stateOf(state).part === null ? 0 : 1);
    return { free: result, inside: inside(anyText, many), charsLeft };
  };
  const hint = (number: number): MaskHint | null => {
    const state = stateOf(number);
    if (anyText < 0 || state.place !== "inside" || state.part !== null) return null;
    if (anyText === dfa.start && labels === undefined) {
      const own = asFree();
      return own === null ? null : { kind: "limited", ...own, least: state.least, most: state.most };
    }
    if (writing.free == null || state.least > 0 || state.most < Number.POSITIVE_INFINITY) return null;
    const label = dfa.labels[anyText] as number;
    return { kind: "like", ...writing.free, like: inside(anyText, Number.POSITIVE_INFINITY), label };
  };
  const result: CharacterLeaf = { ...leaf, hint, from: (limits) => numberOf(first(limits)), asFree };
  return result;
};
