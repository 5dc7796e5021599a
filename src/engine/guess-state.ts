/** What is known of the guesses of one text. */

/** How fast the share of a text's guesses that come true follows what is seen. */
const learningRate = 0.1;
/** The same for the guesses of all texts, once there were many. */
const sharedRate = 0.01;
/** Tokens that a text writes without guesses, where they take time and do not pay, before it tries again: at first, and at most. */
export const rests = { first: 16, most: 512 };

/** How many tokens were guessed. */
export interface GuessCounts {
  /** Tokens that were guessed and computed in advance. */
  readonly guessed: number;
  /** Those of them that came true: the text has them. */
  readonly accepted: number;
}

/** Guesses of all texts of an engine: what a new text begins with. So sixteen texts learn together that guesses fail. */
interface SharedChance {
  /** See `Guessable`. */
  chance: number;
  trials: number;
}

/** See the head of the file. */
export interface GuessState {
  readonly shared: SharedChance;
  /** What its own guesses add to its chance, and the part of it that is still that of all texts. */
  own: number;
  unknown: number;
  /** Whether guesses take time; undefined: there were none yet. */
  isSlow: boolean | undefined;
  /** Milliseconds that a guess takes. */
  milliseconds: number;
  /** Tokens that are written without guesses before it tries again, and those left of them. */
  rest: number;
  left: number;
  /** Passes that still have guesses while it tries. */
  tries: number;
  /** Tokens of the text when it was last asked: what has come since, a model that guesses must read first. */
  asked: number;
  /** Guesses that passes have computed, and those that came true. */
  guessed: number;
  accepted: number;
  /** The guesses before the pass, those too that the pass had no rows for. */
  proposed: readonly number[];
}

/** @param before of another text of the same engine, whose guesses may be alike. */
export const newGuessState = (before?: GuessState): GuessState => ({
  ...{ shared: before?.shared ?? { chance: 0.2, trials: 0 }, own: 0, unknown: 1 },
  milliseconds: before?.milliseconds ?? 0,
  ...{ isSlow: before?.isSlow, rest: rests.first, left: rests.first, tries: 0 },
  ...{ asked: Number.NEGATIVE_INFINITY, guessed: 0, accepted: 0, proposed: [] },
});

/** Share of the text's guesses that came true lately; see `Guessable`. */
export const chanceOf = ({ own, unknown, shared }: GuessState): number => own + unknown * shared.chance;

const note = (state: GuessState, isTrue: boolean): void => {
  const { shared } = state;
  const seen = isTrue ? 1 : 0;
  state.own += learningRate * (seen - state.own);
  state.unknown *= 1 - learningRate;
  shared.trials++;
  shared.chance += Math.max(sharedRate, 1 / (shared.trials + 1)) * (seen - shared.chance);
};

/** Compares guesses with the tokens that came. */
export const learn = (state: GuessState, came: readonly number[]): void => {
  for (const [i, id] of came.entries()) {
    const guess = state.proposed[i];
    if (guess === undefined) break;
    note(state, guess === id);
    if (guess !== id) break;
  }
  state.proposed = [];
};
