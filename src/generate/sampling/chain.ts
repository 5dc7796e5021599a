import { type RandomStream, randomKey, randomStream } from "../../core/random.ts";
import { type Adjustment, banned, type History, logitBias, penaltiesOf } from "./adjust.ts";
import { sampleToken } from "./sampler.ts";
import { type FilterName, filterNames, type Sampling } from "./settings.ts";

/** All that decides the tokens of a text, besides the model and the prompt. */
export interface ChainSettings {
  readonly sampling: Sampling;
  readonly seed: number;
  /** Order of the filters. Default: as they are listed. */
  readonly order?: readonly FilterName[];
  /** Added to logits, by token ids. Default: none. */
  readonly biases?: ReadonlyMap<number, number>;
  /** Tokens in a row that must not be written, each as a list. Default: none. */
  readonly banned?: readonly (readonly number[])[];
  /** Decides which tokens may follow at all. Default: all of them. */
  readonly constraint?: TokenConstraint | undefined;
  /** Changes the logits of each token last of all, where they are. Default: nothing does. */
  readonly adjust?: ((logits: Float32Array, ids: readonly number[]) => void) | undefined;
}

/** The tokens that may follow a text. */
export interface TokenConstraint {
  /** Numbers of a mask. */
  readonly maskLength: number;
  /** Writes which tokens may follow: bit id % 32 of number ⌊id / 32⌋. */
  mask(into: Uint32Array): void;
  /** Whether the text may end here. */
  readonly isComplete: boolean;
}

/**
 * Leaves only the tokens of a mask, with finite logits. Where biases and bans left none of those, they have their first logits, and
 * where those are no numbers, all the same.
 * @returns whether biases and bans left one.
 */
const constrain = (logits: Float32Array, first: Float32Array, mask: Uint32Array): boolean => {
  let isLeft = false;
  for (let word = 0; 32 * word < logits.length; word++) {
    const bits = mask[word] as number;
    const end = Math.min(32 * word + 32, logits.length);
    for (let id = 32 * word; id < end; id++) {
      // Nearly all words of a mask are empty.
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

/** Chooses the tokens of one text, one after the other. */
export interface Chain {
  /**
   * The token that follows, which is then part of the text; null: the text is complete, and biases and bans leave no token that may follow.
   * @param logits [V], which stay as they are.
   */
  next(logits: Float32Array): number | null;
  /** The same from here on, for other logits: nothing becomes part of the text, and the caller's own function and the constraint are left out. */
  ahead(): (logits: Float32Array) => number;
}

/** What a chain knows of its text. */
interface ChainState extends History {
  readonly ids: number[];
  readonly seen: Set<number>;
  readonly written: Map<number, number>;
  readonly random: RandomStream;
}

/**
 * The chain of one text: biases, repetition penalty, presence and frequency penalties, banned words, the caller's own function, the
 * constraint; then the filters, and a draw.
 * @param prompt what the text begins with.
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
    const adjusted = adjustments.length === 0 && kept === undefined ? logits : logits.slice();
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
      // Greedy takes no numbers, all else one for each token: two words, of four in a block.
      const taken = sampling.temperature === 0 ? 0 : text.ids.length - prompt.length;
      const random = randomStream(key, Math.floor(taken / 2));
      if (taken % 2 === 1) random.uniform();
      // Without adjustments nobody reads the text.
      const state: ChainState =
        ours.length === 0
          ? { ids: [], seen: new Set(), written: new Map(), random }
          : { ids: [...text.ids], seen: new Set(text.seen), written: new Map(text.written), random };
      // Without a constraint there is always one.
      return (logits) => choose(state, ours, logits) ?? 0;
    },
  };
};
