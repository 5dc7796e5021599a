/** How many tokens are guessed for each text, so that passes write as many tokens a second as they can. No bit depends on it. */

/** A text for which tokens may be guessed. */
export interface Guessable {
  /** Share of its guesses that came true lately, of those whose guesses before came true. From 0 to 1. */
  readonly chance: number;
  /** Guesses at most. */
  readonly most: number;
  /** Milliseconds that each guess takes before the pass. */
  readonly milliseconds: number;
}

/** See the head of the file. */
export interface GuessPace {
  /**
   * @param texts for which tokens may be guessed.
   * @param writing texts that write in the pass, these and others.
   * @returns the number of guesses for each of `texts`.
   */
  plan(texts: readonly Guessable[], writing: number): readonly number[];
  /** Notes how long a pass of so many rows took. */
  note(rows: number, milliseconds: number): void;
}

/** Rows that a pass with guesses may have: few different numbers, as passes of each are recorded, and their times learned. */
const numbersOfRows = new Set([2, 3, 5, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128]);
const mostGuesses = 64;
/**
 * What a row adds to the time of a pass of one row, as a share of it, where nothing was measured: each of the first 16, each later one, and
 * besides each 17th, since products by tiles take 16 rows at a time.
 */
const shareOfRow = { first: 0.04, later: 0.02, tile: 0.2 };
const rowsOfTile = 16;
/**
 * Guesses must make a pass better by this factor, since times are never the same twice; a pass of a size that is new, whose calls are
 * recorded first, by the second one.
 */
const worthwhile = { known: 1.03, fresh: 1.3 };
/** After so many passes a measured time is forgotten, so a time that was too long by chance is measured again. */
const remembered = 256;
/** How fast a time follows what is measured, where that is shorter and where it is longer. */
const followRate = { down: 0.5, up: 0.1 };

/** Times of passes by their rows. */
const passTimes = () => {
  const known = new Map<number, { milliseconds: number; pass: number }>();
  const begun = new Set<number>();
  let pass = 0;
  const add = (rows: number, milliseconds: number): void => {
    pass++;
    // The first pass of a size records its kernel calls.
    if (!begun.has(rows)) {
      begun.add(rows);
      return;
    }
    const before = known.get(rows)?.milliseconds ?? milliseconds;
    // A pass may take longer because something else held it up, never shorter.
    const rate = milliseconds < before ? followRate.down : followRate.up;
    known.set(rows, { milliseconds: before + rate * (Math.min(milliseconds, 1.5 * before) - before), pass });
  };
  /** The times that are remembered, by rows. */
  const list = (): readonly { readonly rows: number; readonly milliseconds: number }[] => {
    for (const [rows, one] of known) if (pass - one.pass > remembered) known.delete(rows);
    return [...known].map(([rows, { milliseconds }]) => ({ rows, milliseconds })).sort((a, b) => a.rows - b.rows);
  };
  return { add, list, isFresh: (rows: number): boolean => !begun.has(rows) };
};

/** Usual time of a pass, in times that of one row. */
const usualTime = (rows: number): number => {
  const first = Math.min(rows, rowsOfTile);
  const tiles = Math.ceil(rows / rowsOfTile);
  return 1 + shareOfRow.first * (first - 1) + shareOfRow.later * (rows - first) + shareOfRow.tile * (tiles - 1);
};

/** Estimated time of a pass, in milliseconds: measured, or between those that were measured as usual times are. */
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
      // Each guess with its chance of a token: one can only count if those before it do, so they come first in this order.
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
