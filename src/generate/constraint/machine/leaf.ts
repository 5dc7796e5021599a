/** Automata over bytes. A state is created when it is first reached. */

/** An automaton that reads one piece of text byte by byte. An end can be reached from every state. */
export interface Leaf {
  readonly id: number;
  readonly start: number;
  /** The state after a byte, or -1 if the byte is not allowed. */
  step(state: number, byte: number): number;
  /** The label of a text that ends in this state, from 0, or -1 if no text may end here. */
  label(state: number): number;
  /** Whether the text may continue. */
  goesOn(state: number): boolean;
  /** A state with the same masks, for use as a cache key. The state has no limits that a single token cannot reach. */
  sameMasks(state: number): number;
  /** Number of states created so far. */
  size(): number;
  /** The state after a special token, or -1 if the token is not allowed. If absent, no special token is allowed. */
  special?(state: number, id: number): number;
  /** Whether the whole text may end in this state, not only this piece. If absent, it may not. */
  isOpen?(state: number): boolean;
  /** A faster way to compute the mask of a state, or null if the state has no faster way. */
  hint?(state: number): MaskHint | null;
}

/**
 * How to derive a mask from the mask for unlimited strings. This mask belongs to the state `inside` of the leaf `free`.
 */
export type MaskHint = {
  readonly free: Leaf;
  readonly inside: number;
  /**
   * Number of characters that may still follow in a state of `free`. The number is finite, because `free` counts down
   * from its state `inside`.
   */
  readonly charsLeft: (state: number) => number;
} & (
  | { readonly kind: "limited"; readonly least: number; readonly most: number }
  /** `like` is a state of the leaf that reads the same texts as `free`. All these texts have the label `label`. */
  | { readonly kind: "like"; readonly like: number; readonly label: number }
);

/** The rules of a leaf. A state is a value, and two states with equal keys are the same state. */
export interface LeafRules<State> {
  readonly start: State;
  key(state: State): string;
  step(state: State, byte: number): State | null;
  label(state: State): number;
  goesOn(state: State): boolean;
  sameMasks?(state: State): State;
}

let leaves = 0;
const unknown = -2;

export const leafOf = <State>(
  rules: LeafRules<State>,
): Leaf & { numberOf(state: State): number; stateOf(number: number): State } => {
  const states: State[] = [];
  const numbers = new Map<string, number>();
  const rows: (Int32Array | null)[] = [];
  const labels: number[] = [];
  const goesOn: boolean[] = [];
  const numberOf = (state: State): number => {
    const key = rules.key(state);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const number = states.push(state) - 1;
    numbers.set(key, number);
    rows.push(null);
    labels.push(rules.label(state));
    goesOn.push(rules.goesOn(state));
    return number;
  };
  const start = numberOf(rules.start);
  return {
    id: leaves++,
    start,
    numberOf,
    stateOf: (number) => states[number] as State,
    size: () => states.length,
    step: (state, byte) => {
      const row = rows[state] ?? new Int32Array(256).fill(unknown);
      rows[state] = row;
      let to = row[byte] as number;
      if (to === unknown) {
        const next = rules.step(states[state] as State, byte);
        to = next === null ? -1 : numberOf(next);
        row[byte] = to;
      }
      return to;
    },
    label: (state) => labels[state] as number,
    goesOn: (state) => goesOn[state] as boolean,
    sameMasks: (state) => (rules.sameMasks === undefined ? state : numberOf(rules.sameMasks(states[state] as State))),
  };
};

const encoder = new TextEncoder();

/** Reads one of the given texts. The label is 0. */
export const textLeaf = (texts: readonly string[]): Leaf => {
  interface Node {
    readonly id: number;
    readonly next: Map<number, Node>;
    isEnd: boolean;
  }
  let count = 0;
  const node = (): Node => ({ id: count++, next: new Map(), isEnd: false });
  const root = node();
  for (const text of texts) {
    let at = root;
    for (const byte of encoder.encode(text)) {
      const next = at.next.get(byte) ?? node();
      at.next.set(byte, next);
      at = next;
    }
    at.isEnd = true;
  }
  return leafOf<Node>({
    start: root,
    key: ({ id }) => `${id}`,
    step: (at, byte) => at.next.get(byte) ?? null,
    label: ({ isEnd }) => (isEnd ? 0 : -1),
    goesOn: ({ next }) => next.size > 0,
  });
};

/** Reads one special token. The label is 0. */
export const tokenLeaf = (token: number): Leaf => ({
  ...{ id: leaves++, start: 0 },
  step: () => -1,
  label: (state) => (state === 1 ? 0 : -1),
  goesOn: (state) => state === 0,
  sameMasks: (state) => state,
  size: () => 2,
  special: (state, id) => (state === 0 && id === token ? 1 : -1),
});

/**
 * Reads any text up to and including the first marker. The label after the marker is 0. Before the marker, the whole
 * text may end anywhere.
 * @param token the special token with the name of the marker, if such a token exists.
 * @param atStart if true, the marker counts only at the beginning, after spaces. A text that begins differently has no
 * marker.
 */
export const markerLeaf = (marker: string, token: number | undefined, atStart: boolean): Leaf => {
  const bytes = encoder.encode(marker);
  const done = bytes.length;
  /** State in which the marker can no longer come. */
  const free = done + 1;
  /**
   * Failure function of Knuth-Morris-Pratt: the number of marker bytes that still match if the next byte is not byte
   * `at` of the marker.
   */
  const shorter: number[] = [0, 0];
  const next = (at: number, byte: number): number => {
    for (let k = at; ; k = shorter[k] ?? 0) {
      if (bytes[k] === byte) return k + 1;
      if (k === 0) return 0;
    }
  };
  for (let k = 1; k < done; k++) shorter.push(next(shorter[k] ?? 0, bytes[k] as number));
  const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
  return {
    ...{ id: leaves++, start: 0 },
    step: (state, byte) => {
      if (state === done) return -1;
      if (!atStart) return next(state, byte);
      if (state === free) return free;
      if (bytes[state] === byte) return state + 1;
      return state === 0 && isSpace(byte) ? 0 : free;
    },
    label: (state) => (state === done ? 0 : -1),
    goesOn: (state) => state !== done,
    isOpen: (state) => state !== done,
    sameMasks: (state) => state,
    size: () => done + 2,
    special: (state, id) => (id === token && state !== done && (!atStart || state === 0) ? done : -1),
  };
};

/**
 * Reads a punctuation mark of JSON and the allowed whitespace around it. The whitespace is empty, one space, or a new
 * line with an indentation. The label is 0.
 * @param depth number of enclosing levels. The indentation is up to four spaces or one tab for each level.
 */
export const markLeaf = (before: string, depth: number, after: string): Leaf => {
  const [first, last] = [encoder.encode(before), encoder.encode(after)];
  // States in order: bytes of `before`, one space, a new line with spaces, a new line with tabs, bytes of `after`.
  const space = first.length + 1;
  const line = space + 1;
  const tabs = line + 4 * depth;
  const end = tabs + depth;
  const done = end + last.length;
  const isSpace = (state: number): boolean => state >= first.length && state <= end;
  const inSpace = (state: number, byte: number): number => {
    if (byte === 0x20) return state === first.length ? space : state >= line && state < tabs ? state + 1 : -1;
    if (byte === 0x0a) return state === first.length ? line : -1;
    if (byte !== 0x09) return -1;
    return state === line && depth > 0 ? tabs + 1 : state > tabs && state < end ? state + 1 : -1;
  };
  return {
    ...{ id: leaves++, start: 0 },
    step: (state, byte) => {
      if (state < first.length) return byte === first[state] ? state + 1 : -1;
      if (!isSpace(state)) return byte === last[state - end] ? state + 1 : -1;
      const to = inSpace(state, byte);
      return to < 0 && byte === last[0] ? end + 1 : to;
    },
    label: (state) => (state === done || (last.length === 0 && isSpace(state)) ? 0 : -1),
    goesOn: (state) =>
      last.length > 0 ? state < done : state < first.length || [32, 10, 9].some((byte) => inSpace(state, byte) >= 0),
    sameMasks: (state) => state,
    size: () => done + 1,
  };
};
