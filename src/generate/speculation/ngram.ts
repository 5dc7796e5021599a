/**
 * Guesses the next tokens from the text itself. The code looks for an earlier place with the same last tokens, and
 * guesses the tokens that followed there. Repeated code, quotations, lists and names give good guesses; prose gives few
 * good guesses.
 */
import type { Draft } from "../../engine/sequence.ts";

/** Lengths of the token sequences to look up. Long sequences come first, because they rarely match by chance. */
const lengths = [6, 3, 2] as const;
/** Maximum number of earlier places that are compared. The latest places are compared first. */
const mostPlaces = 16;
/** Maximum number of tokens before a place that are compared. */
const mostCompared = 64;
/**
 * Limits for a text that repeated an earlier part and then differed from it. After a few tokens, the text may repeat
 * the earlier part again.
 */
const rejoin = { before: 4, after: 12, leastFollowed: 6, within: 96 };
/**
 * Groups of places by number of matching tokens. Each entry is the smallest number of a group. Each group has its own
 * measurement of right guesses.
 */
const kinds = [1, 2, 3, 5, 8, 16] as const;
/** Minimum share of right guesses. A group with a lower share gives no guesses. */
const leastShare = 0.25;

/** An earlier place in the text. The tokens that follow this place may also follow the end of the text. */
interface Place {
  readonly from: number;
  /** Number of matching tokens: tokens before the place that are equal to the tokens at the end of the text. */
  readonly agree: number;
}

/** Index of all sequences of `length` tokens in the text. */
const placesOf = (length: number) => {
  const latest = new Map<number, number>();
  /** For each end: the previous end with the same hash, or -1 if there is no such end. */
  const earlier: number[] = [];
  const hashAt = (ids: readonly number[], end: number): number => {
    let hash = 0;
    for (let i = end - length; i < end; i++) hash = (Math.imul(hash, 0x9e3779b1) + (ids[i] as number)) | 0;
    return hash;
  };
  return {
    /** Adds the sequence that ends before `end`. Call it once for each end, in order. */
    add(ids: readonly number[], end: number): void {
      const hash = end < length ? 0 : hashAt(ids, end);
      earlier[end] = (end < length ? undefined : latest.get(hash)) ?? -1;
      if (end >= length) latest.set(hash, end);
    },
    /** Earlier places with the same last `length` tokens. The latest place comes first. */
    *ends(ids: readonly number[]): Generator<number, void, undefined> {
      let end = earlier[ids.length] ?? -1;
      for (let i = 0; i < mostPlaces && end >= 0; i++) {
        yield end;
        end = earlier[end] ?? -1;
      }
    },
  };
};

/** Number of tokens before `from` that match the end of the text. */
const agreement = (ids: readonly number[], from: number): number => {
  let count = 0;
  while (count < mostCompared && count < from && ids[from - 1 - count] === ids[ids.length - 1 - count]) count++;
  return count;
};

/** Measures how often the guesses of each group are right. */
const judge = () => {
  const shares = kinds.map(() => 0.5);
  const kindOf = (agree: number): number => kinds.findLastIndex((least) => agree >= least);
  return {
    isGood: (agree: number): boolean => (shares[kindOf(agree)] as number) >= leastShare,
    note(agree: number, cameTrue: boolean): void {
      const kind = kindOf(agree);
      const share = shares[kind] as number;
      shares[kind] = share + 0.1 * ((cameTrue ? 1 : 0) - share);
    },
  };
};

/** @returns a function that guesses for one text. Between two calls the text may only grow. */
export const ngramDraft = (): Draft => {
  const places = lengths.map(placesOf);
  const judged = judge();
  let indexed = 0;
  /**
   * `guessed`: place of the last guesses. `followed`: last place with a long match. Both places also contain the length
   * of the text at that time.
   */
  let guessed: (Place & { readonly length: number }) | undefined;
  let followed: (Place & { readonly length: number }) | undefined;

  /** The place with the most matching tokens. If several places are equally good, it is the latest. */
  const longest = (ids: readonly number[]): Place | undefined => {
    let best: Place | undefined;
    for (const [i, index] of places.entries()) {
      for (const from of index.ends(ids)) {
        const agree = agreement(ids, from);
        // Compare the tokens themselves, because different tokens may have the same hash.
        if (agree >= (lengths[i] as number) && agree > (best?.agree ?? 0)) best = { from, agree };
      }
      if (best !== undefined) return best;
    }
    return undefined;
  };
  /**
   * Looks near the place that the text repeated before it differed. The function looks for a token that is equal to the
   * last token of the text.
   */
  const rejoined = (ids: readonly number[]): Place | undefined => {
    if (followed === undefined || ids.length - followed.length > rejoin.within) return undefined;
    const expected = followed.from + ids.length - followed.length;
    for (let far = 0; far <= rejoin.after; far++) {
      for (const from of far <= rejoin.before ? [expected + far, expected - far] : [expected + far])
        if (from > 0 && from < ids.length && ids[from - 1] === ids.at(-1)) return { from, agree: agreement(ids, from) };
    }
    return undefined;
  };

  return (ids, most) => {
    for (; indexed < ids.length; ) {
      indexed++;
      for (const index of places) index.add(ids, indexed);
    }
    if (guessed !== undefined && guessed.length < ids.length)
      judged.note(guessed.agree, ids[guessed.from] === ids[guessed.length]);
    const found = longest(ids);
    const place = (found?.agree ?? 0) >= rejoin.leastFollowed ? found : (rejoined(ids) ?? found);
    guessed = place === undefined ? undefined : { ...place, length: ids.length };
    if (place === undefined) return [];
    if (place.agree >= rejoin.leastFollowed) followed = guessed;
    if (!judged.isGood(place.agree)) return [];
    // A long match will probably continue for many tokens.
    const count = Math.min(most, 2 * place.agree);
    const guesses: number[] = [];
    // Guesses beyond the end of the text repeat the first guesses of the match.
    for (let i = 0; i < count; i++) {
      const at = place.from + i;
      guesses.push((at < ids.length ? ids[at] : guesses[at - ids.length]) as number);
    }
    return guesses;
  };
};
