/** State of the guesses of one text. */

/** Learning rate for one text's share of right guesses. */
const learningRate = 0.1;
/** Minimum learning rate of the share of right guesses over all texts. The rate is higher for the first guesses. */
const sharedRate = 0.01;
/**
 * Number of tokens to write without guesses if guesses take more time than they save. The text then tries guesses
 * again. `first`: the number after the first try. `most`: the maximum number.
 */
export const rests = { first: 16, most: 512 };

/** Counts of guesses. */
export interface GuessCounts {
  /** Number of guessed tokens that passes computed. */
  readonly guessed: number;
  /** Number of right guesses: guessed tokens that became part of the text. */
  readonly accepted: number;
}

/**
 * Share of right guesses over all texts of an engine. This share is the initial value for a new text. So many parallel
 * texts stop guessing together if guesses fail.
 */
interface SharedChance {
  /** See `Guessable`. */
  chance: number;
  trials: number;
}

/** State of the guesses of one text. The estimated share of right guesses is `own + unknown * shared.chance`. */
export interface GuessState {
  readonly shared: SharedChance;
  /**
   * `own`: the part of the share that comes from the text's own guesses. `unknown`: the remaining weight of the share
   * over all texts.
   */
  own: number;
  unknown: number;
  /** Whether guessing takes time: true if guesses are promises. Undefined before the first guess. */
  isSlow: boolean | undefined;
  /** Time in milliseconds for one guess. */
  milliseconds: number;
  /**
   * `rest`: number of tokens to write without guesses before the next try. `left`: remaining number of these tokens.
   */
  rest: number;
  left: number;
  /** Number of remaining passes with guesses in the current try. */
  tries: number;
  /** Length of the text at the last request for guesses. A draft model must first read all later tokens. */
  asked: number;
  /** Number of guesses in passes, and number of right guesses. */
  guessed: number;
  accepted: number;
  /** All guesses before the pass, including guesses that did not fit into the pass. */
  proposed: readonly number[];
}

/**
 * @param before state of another text of the same engine; the new text probably has a similar share of right guesses.
 */
export const newGuessState = (before?: GuessState): GuessState => ({
  ...{ shared: before?.shared ?? { chance: 0.2, trials: 0 }, own: 0, unknown: 1 },
  milliseconds: before?.milliseconds ?? 0,
  ...{ isSlow: before?.isSlow, rest: rests.first, left: rests.first, tries: 0 },
  ...{ asked: Number.NEGATIVE_INFINITY, guessed: 0, accepted: 0, proposed: [] },
});

/** Recent share of right guesses of the text. See `Guessable.chance`. */
export const chanceOf = ({ own, unknown, shared }: GuessState): number => own + unknown * shared.chance;

const note = (state: GuessState, isTrue: boolean): void => {
  const { shared } = state;
  const seen = isTrue ? 1 : 0;
  state.own += learningRate * (seen - state.own);
  state.unknown *= 1 - learningRate;
  shared.trials++;
  shared.chance += Math.max(sharedRate, 1 / (shared.trials + 1)) * (seen - shared.chance);
};

/** Compares the guesses with the tokens that the text chose, and updates the shares. */
export const learn = (state: GuessState, came: readonly number[]): void => {
  for (const [i, id] of came.entries()) {
    const guess = state.proposed[i];
    if (guess === undefined) break;
    note(state, guess === id);
    if (guess !== id) break;
  }
  state.proposed = [];
};
