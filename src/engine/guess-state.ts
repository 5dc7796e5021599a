/** State of the guesses of one text. */

/** Learning rate of the share of right guesses of one text. */
const learningRate = 0.1;
/** Minimum learning rate of the share of right guesses of all texts; it is higher for the first guesses. */
const sharedRate = 0.01;
/**
 * Number of tokens that a text writes without guesses, if guesses take time and do not save any, before it tries again:
 * the first time, and at most.
 */
export const rests = { first: 16, most: 512 };

/** Counts of guesses. */
export interface GuessCounts {
  /** Number of guessed tokens that passes computed. */
  readonly guessed: number;
  /** Number of right guesses: the text has these tokens. */
  readonly accepted: number;
}

/**
 * Share of right guesses of all texts of an engine: the start value for a new text. So many parallel texts learn
 * together that guesses fail.
 */
interface SharedChance {
  /** See `Guessable`. */
  chance: number;
  trials: number;
}

/** State of the guesses of one text. Its chance is `own + unknown * shared.chance`. */
export interface GuessState {
  readonly shared: SharedChance;
  /**
   * `own`: part of the chance learned from the text's own guesses. `unknown`: remaining weight of the chance of all
   * texts.
   */
  own: number;
  unknown: number;
  /** Whether making guesses takes time (they come as promises); undefined: there were no guesses so far. */
  isSlow: boolean | undefined;
  /** Milliseconds that it takes to make one guess. */
  milliseconds: number;
  /** `rest`: number of tokens to write without guesses before the next try. `left`: how many of them remain. */
  rest: number;
  left: number;
  /** Number of passes that still get guesses in the current try. */
  tries: number;
  /** Length of the text when guesses were last requested. A draft model must first read all tokens that came later. */
  asked: number;
  /** Number of guesses that passes computed, and number of right guesses. */
  guessed: number;
  accepted: number;
  /** All guesses made before the pass, including guesses for which the pass had no rows. */
  proposed: readonly number[];
}

/** @param before state of another text of the same engine, whose guesses may be similarly good. */
export const newGuessState = (before?: GuessState): GuessState => ({
  ...{ shared: before?.shared ?? { chance: 0.2, trials: 0 }, own: 0, unknown: 1 },
  milliseconds: before?.milliseconds ?? 0,
  ...{ isSlow: before?.isSlow, rest: rests.first, left: rests.first, tries: 0 },
  ...{ asked: Number.NEGATIVE_INFINITY, guessed: 0, accepted: 0, proposed: [] },
});

/** Recent share of right guesses of the text; see `Guessable.chance`. */
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
