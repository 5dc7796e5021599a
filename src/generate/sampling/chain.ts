import { type RandomStream, randomKey, randomStream } from "../../core/random.ts";
import { type Adjustment, banned, type History, logitBias, penaltiesOf } from "./adjust.ts";
import { sampleToken } from "./sampler.ts";
import { type FilterName, filterNames, type Sampling } from "./settings.ts";

/** All settings that determine the tokens of a text, together with the model and the prompt. */
export interface ChainSettings {
  readonly sampling: Sampling;
  readonly seed: number;
  /** Order of the filters. Default: the order of `filterNames`. */
  readonly order?: readonly FilterName[];
  /** Numbers that are added to logits, by token id. Default: none. */
  readonly biases?: ReadonlyMap<number, number>;
  /** Sequences of tokens that must not be written. Default: none. */
  readonly banned?: readonly (readonly number[])[];
  /** Decides which tokens may follow. Default: all tokens. */
  readonly constraint?: TokenConstraint | undefined;
  /** Changes the logits of each token in place, after all other adjustments. Default: none. */
  readonly adjust?: ((logits: Float32Array, ids: readonly number[]) => void) | undefined;
}

/** Decides which tokens may follow a text. */
export interface TokenConstraint {
  /** Length of a mask in 32-bit words. */
  readonly maskLength: number;
  /** Writes the mask of the tokens that may follow: the bit of token id is bit id % 32 of word ⌊id / 32⌋. */
  mask(into: Uint32Array): void;
  /** Whether the text may end here. */
  readonly isComplete: boolean;
}

/**
 * Sets the logits of all tokens outside the mask to −∞, and makes the logits of the other tokens finite. If biases and
 * bans have removed all tokens of the mask, these tokens get their original logits back. An original logit that is not
 * finite becomes 0.
 * @returns false if biases and bans had removed all tokens of the mask.
 */
const constrain = (logits: Float32Array, first: Float32Array, mask: Uint32Array): boolean => {
  let isLeft = false;
  for (let word = 0; 32 * word < logits.length; word++) {
    const bits = mask[word] as number;
    const end = Math.min(32 * word + 32, logits.length);
    for (let id = 32 * word; id < end; id++) {
      // `bits` is 0 for nearly all words of a mask, so this test comes first.
      if (bits !== 0 && ((bits >>> (id & 31)) & 1) === 1) {
        const logit = logits[id] as number;
        if (logit > Number.NEGATIVE_INFINITY) {
          if (logit > 3e38) logits[id] = 3e38;
          isLeft = true;
          continue;
        }
      }
      logits[id] = Number.NEGATIVE_INFINITY;
    }
  }
  if (isLeft) return true;
  for (let id = 0; id < logits.length; id++) {
    if ((((mask[id >>> 5] as number) >>> (id & 31)) & 1) === 0) continue;
    const logit = first[id] as number;
    logits[id] = Number.isFinite(logit) ? logit : 0;
  }
  return false;
};

/** Chooses the tokens of one text, one by one. */
export interface Chain {
  /**
   * Chooses the next token and adds it to the text. Returns null if the text is complete, and biases and bans leave no
   * token that may follow.
   * @param logits [V]; they are not changed.
   */
  next(logits: Float32Array): number | null;
  /**
   * Returns a function that chooses the following tokens from other logits, in the same way as `next`. The function
   * does not change the text, and it ignores the caller's own function and the constraint.
   */
  ahead(): (logits: Float32Array) => number;
}

/** Memory for adjusted logits. All texts share it, because no text needs its adjusted logits after the draw. */
let shared = new Float32Array(0);

/** A copy of logits in shared memory, or in new memory if the caller's own function gets the copy. */
const copied = (logits: Float32Array, isShared: boolean): Float32Array => {
  if (!isShared) return logits.slice();
  if (shared.length < logits.length) shared = new Float32Array(logits.length);
  const copy = shared.subarray(0, logits.length);
  copy.set(logits);
  return copy;
};

/** State of the text. */
interface ChainState extends History {
  readonly ids: number[];
  readonly seen: Set<number>;
  readonly written: Map<number, number>;
  readonly random: RandomStream;
}

/**
 * Creates the chain of one text. Its steps, in order: biases, repetition penalty, presence and frequency penalties,
 * banned words, the caller's own function, the constraint, the filters, one draw.
 * @param prompt ids of the tokens before the text.
 */
export const createChain = (settings: ChainSettings, prompt: readonly number[]): Chain => {
  const { sampling, seed, order = filterNames, biases, adjust, constraint } = settings;
  const key = randomKey(seed, "sampling");
  const lists = settings.banned ?? [];
  const ours: readonly Adjustment[] = [
    ...(biases === undefined || biases.size === 0 ? [] : [logitBias(biases)]),
    ...penaltiesOf(sampling),
    ...(lists.length === 0 ? [] : [banned(lists)]),
  ];
  const all: readonly Adjustment[] = adjust === undefined ? ours : [...ours, (logits, { ids }) => adjust(logits, ids)];
  const mask = new Uint32Array(constraint?.maskLength ?? 0);
  const text: ChainState = { ids: [...prompt], seen: new Set(prompt), written: new Map(), random: randomStream(key) };
  const choose = (
    state: ChainState,
    adjustments: readonly Adjustment[],
    logits: Float32Array,
    kept?: TokenConstraint,
  ): number | null => {
    const adjusted =
      adjustments.length === 0 && kept === undefined
        ? logits
        : copied(logits, adjust === undefined || adjustments === ours);
    for (const adjustment of adjustments) adjustment(adjusted, state);
    if (kept !== undefined) {
      kept.mask(mask);
      if (!constrain(adjusted, logits, mask) && kept.isComplete) return null;
    }
    const id = sampleToken(adjusted, sampling, state.random, order);
    state.ids.push(id);
    state.seen.add(id);
    state.written.set(id, (state.written.get(id) ?? 0) + 1);
    return id;
  };
  return {
    next: (logits) => choose(text, all, logits, constraint),
    ahead() {
      // Greedy decoding uses no random numbers. Otherwise, each token uses one random number. A random number needs two
      // words, and a block of the stream has four words.
      const taken = sampling.temperature === 0 ? 0 : text.ids.length - prompt.length;
      const random = randomStream(key, Math.floor(taken / 2));
      if (taken % 2 === 1) random.uniform();
      // Without adjustments, no code reads the ids, so they are not copied.
      const state: ChainState =
        ours.length === 0
          ? { ids: [], seen: new Set(), written: new Map(), random }
          : { ids: [...text.ids], seen: new Set(text.seen), written: new Map(text.written), random };
      // `choose` returns null only with a constraint.
      return (logits) => choose(state, ours, logits) ?? 0;
    },
  };
};
