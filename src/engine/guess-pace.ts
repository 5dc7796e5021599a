/**
 * Decides how many tokens to guess for each text, for the highest number of tokens per second. The decision does not
 * change any bit of the results.
 */

/** A text for which tokens can be guessed. */
export interface Guessable {
  /**
   * Recent share of right guesses, from 0 to 1. A guess counts only if all earlier guesses of the same pass were right.
   */
  readonly chance: number;
  /** Maximum number of guesses. */
  readonly most: number;
  /** Time in milliseconds for one guess. Guesses are made before the pass. */
  readonly milliseconds: number;
}

/** See the comment at the top of the file. */
export interface GuessPace {
  /**
   * @param texts texts with tokens that can be guessed.
   * @param writing number of all texts that write in the pass, including texts without guesses.
   * @returns the number of guesses for each of `texts`.
   */
  plan(texts: readonly Guessable[], writing: number): readonly number[];
  /** Records the time of a pass with `rows` rows. */
  note(rows: number, milliseconds: number): void;
}

/**
 * Allowed numbers of rows of a pass with guesses. The list is short, because each number needs recorded kernel calls
 * and a measured time.
 */
const numbersOfRows = new Set([2, 3, 5, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128]);
const mostGuesses = 64;
/**
 * Estimated extra time of each row, as a share of the time of a pass with one row. The estimate is used for numbers of
 * rows that were not measured. `first`: each of the first 16 rows. `later`: each later row. `tile`: additional time for
 * each further 16 rows, because matrix products compute tiles of 16 rows.
 */
const shareOfRow = { first: 0.04, later: 0.02, tile: 0.2 };
const rowsOfTile = 16;
/**
 * Minimum factor by which guesses must increase the tokens per second, because measured times vary. With a smaller
 * factor, no tokens are guessed. `fresh`: for a new number of rows, which needs a new recording of kernel calls.
 * `known`: for all other numbers.
 */
const worthwhile = { known: 1.03, fresh: 1.3 };
/**
 * Number of passes after which a measured time is dropped. If the time was too long by chance, it is then measured
 * again.
 */
const remembered = 256;
/** Learning rates of the measured times. `down`: for a shorter new time. `up`: for a longer new time. */
const followRate = { down: 0.5, up: 0.1 };

/** Measured times of passes for each number of rows. */
const passTimes = () => {
  const known = new Map<number, { milliseconds: number; pass: number }>();
  const begun = new Set<number>();
  let pass = 0;
  const add = (rows: number, milliseconds: number): void => {
    pass++;
    // The first pass with this number of rows also records its kernel calls, so its time is not used.
    if (!begun.has(rows)) {
      begun.add(rows);
      return;
    }
    const before = known.get(rows)?.milliseconds ?? milliseconds;
    // Longer times have a lower learning rate, because other programs can make a pass slower, but never faster.
    const rate = milliseconds < before ? followRate.down : followRate.up;
    known.set(rows, { milliseconds: before + rate * (Math.min(milliseconds, 1.5 * before) - before), pass });
  };
  /** Recent measured times, sorted by number of rows. */
  const list = (): readonly { readonly rows: number; readonly milliseconds: number }[] => {
    for (const [rows, one] of known) if (pass - one.pass > remembered) known.delete(rows);
    return [...known].map(([rows, { milliseconds }]) => ({ rows, milliseconds })).sort((a, b) => a.rows - b.rows);
  };
  return { add, list, isFresh: (rows: number): boolean => !begun.has(rows) };
};

/** Typical time of a pass. The unit is the time of a pass with one row. */
const usualTime = (rows: number): number => {
  const first = Math.min(rows, rowsOfTile);
  const tiles = Math.ceil(rows / rowsOfTile);
  return 1 + shareOfRow.first * (first - 1) + shareOfRow.later * (rows - first) + shareOfRow.tile * (tiles - 1);
};

/**
 * Estimated time of a pass in milliseconds: a measured time, or a value between two measured times. The values between
 * follow the curve of `usualTime`.
 */
const estimate = (times: readonly { readonly rows: number; readonly milliseconds: number }[], rows: number): number => {
  const before = times.findLast((one) => one.rows <= rows);
  const after = times.find((one) => one.rows >= rows);
  if (before === undefined || after === undefined) {
    const near = before ?? after ?? { rows: 1, milliseconds: 1 };
    return (near.milliseconds * usualTime(rows)) / usualTime(near.rows);
  }
  if (after.rows === before.rows) return before.milliseconds;
  const part = (usualTime(rows) - usualTime(before.rows)) / (usualTime(after.rows) - usualTime(before.rows));
  return before.milliseconds + part * (after.milliseconds - before.milliseconds);
};

export const createGuessPace = (): GuessPace => {
  const times = passTimes();
  return {
    plan(texts, writing) {
      const counts = texts.map(() => 0);
      // Each guess with the probability that it adds a token. A guess counts only if all earlier guesses are right. So
      // its probability is lower, and sorting by probability keeps the guesses of a text in order.
      const guesses = texts
        .flatMap(({ chance, most, milliseconds }, text) =>
          Array.from({ length: Math.min(most, mostGuesses) }, (_, i) => ({
            text,
            milliseconds,
            gain: chance ** (i + 1),
          })),
        )
        .sort((a, b) => b.gain - a.gain)
        .slice(0, mostGuesses);
      if (guesses.length === 0) return counts;
      const known = times.list();
      let tokens = writing;
      let drafting = 0;
      let best = { rate: (worthwhile.known * tokens) / estimate(known, writing), count: 0 };
      for (const [i, { gain, milliseconds }] of guesses.entries()) {
        tokens += gain;
        drafting += milliseconds;
        const rows = writing + i + 1;
        if (!numbersOfRows.has(rows)) continue;
        const dearer = times.isFresh(rows) ? worthwhile.fresh / worthwhile.known : 1;
        const rate = tokens / (drafting + estimate(known, rows)) / dearer;
        if (rate > best.rate) best = { rate, count: i + 1 };
      }
      for (const { text } of guesses.slice(0, best.count)) counts[text] = (counts[text] as number) + 1;
      return counts;
    },
    note: times.add,
  };
};
