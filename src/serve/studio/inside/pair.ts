/**
 * Finds two texts for patching. They differ in one token, and the model predicts different tokens after them. The other
 * token is one that the model itself finds likely at its place, so this works with every tokenizer.
 */
import { DataError } from "../../../core/errors/errors.ts";
import type { Candidate } from "../../../pretrained/model/likeliest.ts";
import { withBegin } from "../../../tokenizer/begin.ts";
import type { WorkerModel } from "../../../worker/model.node.ts";

type PairModel = Pick<WorkerModel, "tokenizer" | "score" | "config">;

export interface Pair {
  readonly clean: string;
  readonly corrupted: string;
}

export interface PairSearch {
  /** Whether the clean text must be the whole text. Otherwise it may be any part of the text. */
  readonly whole: boolean;
  /** Number of learned parameters. A large model gets fewer passes. */
  readonly parameters: number;
  readonly signal: AbortSignal;
}

/** Words with well-known answers. They are tried first. */
const knownWords = [
  ["France", "Italy"],
  ["France", "Greece"],
] as const;

/** Number of tokens of a part: few, so that the map of the two texts fits on a small screen. */
const partTokens = 16;
/** More characters than `partTokens` tokens have. */
const partCharacters = 400;
/** Number of parts of the text to search. A model with few passes gets fewer parts, so that passes are left for trials. */
const [leastParts, mostParts] = [2, 12];
const passesPerPart = 8;
/** Number of candidates per position. */
const candidates = 8;
/** Distances from the changed token to the predicted token. Information that moves is visible only over a distance. */
const [nearest, farthest] = [3, 7];
/** If all passes together have at most this number of multiplications, they take at most a few seconds. */
const mostWork = 4e10;
/** Known words need only a few passes, so the model may be larger. */
const mostKnownWork = 1e11;
const mostTrials = 400;
const leastTrials = 6;
/** With such a score, the search ends early. */
const goodScore = 0.8;
/** A text is natural if the model gives each of its tokens at least this probability. */
const natural = 0.1;
/** A model that knows the answers of `knownWords` has at least this score. */
const knownScore = 0.05;

/** Whether a token is a word of some length, so that another word in its place changes the meaning. */
const isWord = (text: string): boolean => /[\p{L}\p{N}]{3}/u.test(text);
const hasLetter = (text: string): boolean => /[\p{L}\p{N}]/u.test(text);

/** Predictions of each token from the tokens before it. A token without a prediction has an empty list. */
type Predictions = readonly (readonly Candidate[])[];

const predictionsOf = async (model: PairModel, ids: Int32Array, signal: AbortSignal): Promise<Predictions> => {
  // The added token gets a prediction from the last token of the text. Its own value does not matter.
  const { tokens } = await model.score([...ids, ids.at(-1) ?? 0], { candidates, signal });
  return tokens.map((token) => token.candidates ?? []);
};

/**
 * Score of two predictions, from 0 to 1. The score is high if the model is sure of both predictions. It is 0 if the
 * predictions are equal: a map of two such texts would not show where a prediction comes from.
 */
export const pairScore = (clean: readonly Candidate[], corrupted: readonly Candidate[]): number => {
  const [answer] = clean;
  const [other] = corrupted;
  if (answer === undefined || other === undefined || other.id === answer.id) return 0;
  const left = corrupted.find(({ id }) => id === answer.id)?.probability ?? 0;
  return (answer.probability - left) * other.probability;
};

/**
 * How natural the text after the changed token is for the model, from 0 to 1. The unlikeliest token before `end` counts.
 * Otherwise the changed text could be no text, such as a misspelled word.
 * @param clean predictions of the unchanged text. If given, a token that is unlikely there may be unlikely here, too.
 */
const naturalness = (
  ids: ArrayLike<number>,
  changed: Predictions,
  at: number,
  end: number,
  clean?: Predictions,
): number => {
  const shareIn = (predictions: Predictions, position: number): number =>
    predictions[position]?.find(({ id }) => id === ids[position])?.probability ?? 0;
  let least = 1;
  for (let position = at + 1; position < end; position++) {
    const needed = clean === undefined ? natural : Math.min(natural, shareIn(clean, position));
    if (needed > 0) least = Math.min(least, shareIn(changed, position) / needed);
  }
  return least;
};

interface Part {
  readonly ids: Int32Array;
  readonly predictions: Predictions;
}

interface Trial {
  readonly part: Part;
  /** Position of the changed token, and the token in its place. */
  readonly at: number;
  readonly other: Candidate;
  /** Number of likelier other tokens at this position. */
  readonly likelier: number;
  /** Whether both tokens are words. */
  readonly isOfWords: boolean;
}

const encoded = ({ tokenizer }: PairModel, text: string): Int32Array =>
  withBegin(tokenizer, tokenizer.encode(text, "text"));

/** Beginnings of words, evenly spread over the text, as indexes. */
const wordStarts = (text: string, most: number): readonly number[] => {
  const starts = [...text.matchAll(/(?<=\s|^)[\p{L}\p{N}]/gu)].map(({ index }) => index);
  const step = Math.max(1, Math.ceil(starts.length / most));
  return starts.filter((_, n) => n % step === 0);
};

/** Number of trials if one pass has `work` multiplications. */
const passesOf = (work: number): number => Math.max(leastTrials, Math.min(mostTrials, Math.floor(mostWork / work)));

/** Texts of at most `partTokens` tokens that begin with a word and fit into the model's context. */
const partsOf = (model: PairModel, text: string, parameters: number): readonly Int32Array[] => {
  const most = Math.min(partTokens, model.config.contextLength);
  const count = Math.floor(passesOf(parameters * most) / passesPerPart);
  const parts = wordStarts(text, Math.max(leastParts, Math.min(mostParts, count))).map((start) => {
    // Half of a surrogate pair is no character.
    const part = text.slice(start, start + partCharacters).replace(/[\uD800-\uDBFF]$/, "");
    return encoded(model, part).slice(0, most);
  });
  return parts.filter(({ length }) => length > nearest + 1);
};

/** Changes to try in a part, in the order of the text. */
const trialsOf = ({ tokenizer }: PairModel, part: Part, last: number): readonly Trial[] =>
  part.predictions.slice(0, last).flatMap((predicted, at) => {
    const own = part.ids[at];
    if (own === undefined || !hasLetter(tokenizer.decode([own]))) return [];
    const others = predicted.filter(({ id, text }) => id !== own && hasLetter(text));
    const isOwnWord = isWord(tokenizer.decode([own]));
    return others.map((other, likelier) => ({
      ...{ part, at, other, likelier },
      isOfWords: isOwnWord && isWord(other.text),
    }));
  });

/** The texts before the token `end`. Undefined if the tokenizer would encode these texts as other tokens. */
const textsOf = (model: PairModel, { part, at, other }: Trial, end: number): Pair | undefined => {
  const ids = part.ids.slice(0, end);
  const changed = ids.with(at, other.id);
  const same = (text: string, as: Int32Array): boolean => encoded(model, text).join() === as.join();
  const skipped = encoded(model, "").length;
  const [clean = "", corrupted = ""] = [ids, changed].map((one) => model.tokenizer.decode(one.slice(skipped)));
  return same(clean, ids) && same(corrupted, changed) ? { clean, corrupted } : undefined;
};

/** Undefined if the tokenizer cannot encode the text. */
const tryEncoded = (model: PairModel, text: string): Int32Array | undefined => {
  try {
    return encoded(model, text);
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
};

/** The text with a known word in place of another, if the model knows the answers of both texts. */
const knownPair = async (model: PairModel, clean: string, signal: AbortSignal): Promise<Pair | undefined> => {
  const ids = encoded(model, clean);
  for (const [from, to] of knownWords) {
    const corrupted = clean.replace(from, to);
    const others = corrupted === clean ? undefined : tryEncoded(model, corrupted);
    if (others?.length !== ids.length) continue;
    const [right = [], wrong = []] = [
      (await predictionsOf(model, ids, signal)).at(-1),
      (await predictionsOf(model, others, signal)).at(-1),
    ];
    if (pairScore(right, wrong) >= knownScore) return { clean, corrupted };
  }
  return undefined;
};

/**
 * The pair with the highest score that was found. Undefined: no change of a token changes a prediction, or the model and
 * the text are too large to search.
 */
export const findPair = async (model: PairModel, text: string, search: PairSearch): Promise<Pair | undefined> => {
  const { whole, parameters, signal } = search;
  const read = whole ? [encoded(model, text)] : partsOf(model, text, parameters);
  const longest = Math.max(1, ...read.map(({ length }) => length));
  const work = parameters * longest;
  const known = whole && work <= mostKnownWork ? await knownPair(model, text, signal) : undefined;
  if (known !== undefined || work > mostWork) return known;
  const parts: Part[] = [];
  for (const ids of read) parts.push({ ids, predictions: await predictionsOf(model, ids, signal) });
  const all = parts.flatMap((part) => trialsOf(model, part, part.ids.length - (whole ? 1 : nearest - 1)));
  const ofWords = all.filter((one) => one.isOfWords);
  const trials = (ofWords.length < leastTrials ? all : ofWords)
    // Different positions first: two likely tokens at the same position often have similar meanings.
    .sort((a, b) => a.likelier - b.likelier || b.other.probability - a.other.probability)
    .slice(0, passesOf(work));
  let best = { score: 0, pair: undefined as Pair | undefined };
  for (const trial of trials) {
    const { part, at, other } = trial;
    const changed = await predictionsOf(model, part.ids.with(at, other.id), signal);
    const ends = whole ? [part.ids.length] : changed.map((_, end) => end).slice(at + nearest, at + farthest + 1);
    for (const end of ends) {
      const [clean = [], corrupted = []] = [part.predictions[end], changed[end]];
      const usual = whole ? part.predictions : undefined;
      const score = pairScore(clean, corrupted) * naturalness(part.ids, changed, at, end, usual);
      const isShown = whole || [clean[0], corrupted[0]].every((one) => one !== undefined && hasLetter(one.text));
      if (score <= best.score || !isShown) continue;
      const pair = textsOf(model, trial, end);
      if (pair !== undefined) best = { score, pair };
    }
    if (best.score >= goodScore) break;
  }
  return best.pair;
};
