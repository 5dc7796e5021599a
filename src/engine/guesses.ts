/**
 * Guessed tokens after the texts of a pass. The pass computes the logits after the last token and after each guess. A
 * guess is right if the text chooses the same token from the logits before the guess. Wrong guesses are dropped, so
 * guesses never change a text.
 */
import { checkIds } from "../models/model.ts";
import { type Entry, settle } from "./entry.ts";
import type { Guessable, GuessPace } from "./guess-pace.ts";
import { chanceOf, rests } from "./guess-state.ts";

/** The guesses of each text. Texts without guesses are not in the map. */
export type Guesses = ReadonlyMap<Entry, readonly number[]>;

/** Maximum number of guesses in one request to a text. */
const mostAsked = 48;
/** Maximum number of guesses if guesses take time. This is also the maximum for the first request. */
const mostSlow = 12;
const mostFirst = 4;
/** Decides how many guesses to request from texts with guesses that take time. */
const planSlow = (asked: readonly Entry[], pace: GuessPace, writing: number): readonly number[] => {
  const planned = pace.plan(
    asked.map((entry) => guessable(entry, mostSlow)),
    writing,
  );
  return planned.map((count, i) => {
    const { guessing: state, sequence } = asked[i] as Entry;
    if (count > 0) {
      state.rest = rests.first;
      state.left = rests.first;
      return count;
    }
    if (--state.left <= 0) {
      state.rest = Math.min(2 * state.rest, rests.most);
      state.left = state.rest;
      // Three passes. In the first pass, the draft model also reads the tokens that were written since its last
      // guesses. So the time of this pass does not predict the time of later guesses.
      state.tries = 3;
    }
    if (state.tries === 0) return 0;
    state.tries--;
    return Math.min(2, sequence?.mostGuesses ?? 0);
  });
};

const guessable = ({ guessing, sequence }: Entry, most: number): Guessable => ({
  ...{ chance: chanceOf(guessing), milliseconds: guessing.milliseconds },
  most: Math.min(sequence?.mostGuesses ?? 0, most),
});

/** Returns the first `most` guesses. @throws ShapeError for a guess outside the vocabulary. */
const checked = ({ request }: Entry, guesses: readonly number[], most: number): readonly number[] => {
  const first = guesses.slice(0, most);
  checkIds(request.model, first);
  return first;
};

/** Awaits the guesses of one text. If guessing fails, the error ends this text. */
const ask = async (entry: Entry, given: readonly number[] | Promise<readonly number[]>): Promise<readonly number[]> => {
  try {
    return await given;
  } catch (error) {
    if (!entry.ended) settle(entry, error);
    return [];
  }
};

/** Awaits all slow guesses at the same time, and measures their time. */
const slowGuesses = async (
  given: ReadonlyMap<Entry, Promise<readonly number[]>>,
): Promise<ReadonlyMap<Entry, readonly number[]>> => {
  const began = performance.now();
  const all = await Promise.all([...given].map(async ([entry, ids]) => [entry, await ask(entry, ids)] as const));
  const count = all.reduce((sum, [, ids]) => sum + ids.length, 0);
  const each = (performance.now() - began) / Math.max(1, count);
  const isSteady = all.every(
    ([{ guessing, sequence }]) => (sequence?.ids.length ?? 0) - guessing.asked <= mostSlow + 1,
  );
  for (const [{ guessing: state, sequence }] of all) {
    state.asked = sequence?.ids.length ?? 0;
    if (isSteady) state.milliseconds = state.milliseconds === 0 ? each : 0.8 * state.milliseconds + 0.2 * each;
  }
  return new Map(all);
};

/**
 * Requests guesses from the texts that write. The number of guesses is chosen to save time.
 * @param writing all texts that write in the next pass.
 */
export const guessesOf = (writing: readonly Entry[], pace: GuessPace): Guesses | Promise<Guesses> => {
  const able = writing.filter(
    ({ request, sequence }) => request.draft !== undefined && (sequence?.mostGuesses ?? 0) > 0,
  );
  if (able.length === 0) return new Map();
  const quick: Entry[] = [];
  const waits = new Map<Entry, Promise<readonly number[]>>();
  const askOne = (entry: Entry, most: number): void => {
    const { request, sequence, guessing: state } = entry;
    if (sequence === null || most < 1) return;
    try {
      const given = request.draft?.(sequence.ids, most) ?? [];
      const isSlow = given instanceof Promise;
      state.isSlow = isSlow;
      if (isSlow) {
        waits.set(
          entry,
          given.then((ids) => checked(entry, ids, most)),
        );
        return;
      }
      state.proposed = checked(entry, given, most);
      if (state.proposed.length > 0) quick.push(entry);
    } catch (error) {
      settle(entry, error);
    }
  };
  const slow = able.filter(({ guessing }) => guessing.isSlow === true);
  for (const [i, count] of planSlow(slow, pace, writing.length).entries()) askOne(slow[i] as Entry, count);
  for (const entry of able) {
    const { isSlow } = entry.guessing;
    const most = isSlow === undefined ? mostFirst : mostAsked;
    if (isSlow !== true) askOne(entry, Math.min(most, entry.sequence?.mostGuesses ?? 0));
  }
  /**
   * Adds quick guesses to `all`. The pass already has `rows` guessed rows, and only guesses that save time are added.
   */
  const chosen = (rows: number, all: Map<Entry, readonly number[]>): Guesses => {
    const counts = pace.plan(
      quick.map(({ guessing }) => ({ chance: chanceOf(guessing), most: guessing.proposed.length, milliseconds: 0 })),
      writing.length + rows,
    );
    for (const [i, count] of counts.entries()) {
      const entry = quick[i] as Entry;
      if (count > 0) all.set(entry, entry.guessing.proposed.slice(0, count));
    }
    return all;
  };
  if (waits.size === 0) return chosen(0, new Map());
  return slowGuesses(waits).then((given) => {
    let rows = 0;
    for (const [{ guessing: state }, ids] of given) {
      state.proposed = ids;
      rows += ids.length;
    }
    return chosen(rows, new Map(given));
  });
};
