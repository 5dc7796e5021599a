/**
 * Guesses what follows a text by what followed the same tokens before in the text itself. Code that is written again, quotations,
 * lists and names repeat; prose seldom does, and then few or no tokens are guessed.
 */
import type { Draft } from "../../engine/sequence.ts";

/** Tokens in a row that are looked up: long ones first, since they are seldom somewhere by chance. */
const lengths = [6, 3, 2] as const;
/** Earlier places of the same tokens that are compared, the latest first. */
const mostPlaces = 16;
/** Tokens before them that are compared at most. */
const mostCompared = 64;
/** Where a text followed an earlier part and then differed: it may go on with that part, a few tokens later. */
const rejoin = { before: 4, after: 12, leastFollowed: 6, within: 96 };
/** Kinds of places, by how many tokens agree, whose guesses are judged apart. */
const kinds = [1, 2, 3, 5, 8, 16] as const;
/** Guesses of a kind are given while at least this share of them would have come true. */
const leastShare = 0.25;

/** A place in the text whose tokens may follow its end. */
interface Place {
  readonly from: number;
  /** Tokens before it that agree with the end of the text. */
  readonly agree: number;
}

/** Earlier places of rows of `length` tokens. */
const placesOf = (length: number) => {
  const latest = new Map<number, number>();
  /** Of each place the one before it with the same hash. */
  const earlier: number[] = [];
  const hashAt = (ids: readonly number[], end: number): number => {
    let hash = 0;
    for (let i = end - length; i < end; i++) hash = (Math.imul(hash, 0x9e3779b1) + (ids[i] as number)) | 0;
    return hash;
  };
  return {
    /** Adds the tokens before `end`, each end once and in order. */
    add(ids: readonly number[], end: number): void {
      const hash = end < length ? 0 : hashAt(ids, end);
      earlier[end] = (end < length ? undefined : latest.get(hash)) ?? -1;
      if (end >= length) latest.set(hash, end);
    },
    /** The earlier ends of the last tokens, the latest first. */
    *ends(ids: readonly number[]): Generator<number, void, undefined> {
      let end = earlier[ids.length] ?? -1;
      for (let i = 0; i < mostPlaces && end >= 0; i++) {
        yield end;
        end = earlier[end] ?? -1;
      }
    },
  };
};

/** How many tokens before `from` are those at the end of the text. */
const agreement = (ids: readonly number[], from: number): number => {
  let count = 0;
  while (count < mostCompared && count < from && ids[from - 1 - count] === ids[ids.length - 1 - count]) count++;
  return count;
};

/** How good guesses of each kind are. */
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

/** @returns guesses for one text, which must only grow from call to call. */
export const ngramDraft = (): Draft => {
  const places = lengths.map(placesOf);
  const judged = judge();
  let indexed = 0;
  /** The place of the last guesses, and the last one that many tokens agreed with; with the length of the text then. */
  let guessed: (Place & { readonly length: number }) | undefined;
  let followed: (Place & { readonly length: number }) | undefined;

  /** The place with the most tokens that agree; of equal ones the latest. */
  const longest = (ids: readonly number[]): Place | undefined => {
    let best: Place | undefined;
    for (const [i, index] of places.entries()) {
      for (const from of index.ends(ids)) {
        const agree = agreement(ids, from);
        // The hash of others may be the same.
        if (agree >= (lengths[i] as number) && agree > (best?.agree ?? 0)) best = { from, agree };
      }
      if (best !== undefined) return best;
    }
    return undefined;
  };
  /** The place near the one that the text followed and left, whose last token is the text's. */
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
    // A long agreement goes on for long.
    const count = Math.min(most, 2 * place.agree);
    const guesses: number[] = [];
    // Past the end of the text it repeats.
    for (let i = 0; i < count; i++) {
      const at = place.from + i;
      guesses.push((at < ids.length ? ids[at] : guesses[at - ids.length]) as number);
    }
    return guesses;
  };
};
