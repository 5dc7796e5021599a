/** Log-probabilities of tokens in the two formats of OpenAI's responses. */
import type { Candidate } from "../../pretrained/model/likeliest.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A token of a text, with the log-probabilities at its position. */
export interface TokenPlace {
  readonly id: number;
  /** Null for the first token of a prompt, because nothing predicts it. */
  readonly logProb: number | null;
  readonly candidates: readonly Candidate[];
}

const strict = new TextDecoder("utf-8", { fatal: true });

const isSpecial = (tokenizer: Tokenizer, id: number): boolean => tokenizer.bytes(id).length === 0;

/**
 * The text of one token. If a token ends or begins inside a character, the text shows the token's bytes, such as
 * `bytes:\xe2\x80`. Different tokens of this kind have different texts.
 */
const textOfToken = (tokenizer: Tokenizer, id: number): string => {
  const bytes = tokenizer.bytes(id);
  if (bytes.length === 0) return tokenizer.token(id);
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
};

/** Log-probabilities in the format of `/v1/completions`: lists of equal length, with one entry for each token. */
export interface ListedLogProbs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  /** Null if `logprobs` is 0. The entry of a token is null if nothing predicts the token. */
  readonly top_logprobs: (Record<string, number> | null)[] | null;
  /** Number of Unicode code points before each token, counted from the beginning of the prompt. */
  readonly text_offset: number[];
}

/**
 * Makes a function that returns the number of code points before each token. Call this function for every token in
 * order, because a token may end inside a character.
 */
export type TextOffsets = (id: number) => number;

/** @param from number of code points before the first token. */
export const textOffsets = (tokenizer: Tokenizer, from: number): TextOffsets => {
  const decoder = new TextDecoder();
  let at = from;
  return (id) => {
    const before = at;
    const text = isSpecial(tokenizer, id) ? tokenizer.token(id) : decoder.decode(tokenizer.bytes(id), { stream: true });
    at += [...text].length;
    return before;
  };
};

/**
 * @param most number of candidates at each position. The token itself is added to the candidates.
 * @param offsetOf continues from the last position of the previous call.
 */
export const listedLogProbs = (
  tokenizer: Tokenizer,
  places: readonly TokenPlace[],
  most: number,
  offsetOf: TextOffsets,
): ListedLogProbs => {
  const tokens = places.map(({ id }) => textOfToken(tokenizer, id));
  const offsets = places.map(({ id }) => offsetOf(id));
  const top = places.map(({ logProb, candidates }, i) => {
    if (logProb === null) return null;
    const named = candidates
      .slice(0, most)
      .map((candidate): [string, number] => [textOfToken(tokenizer, candidate.id), candidate.logProb]);
    // Add the token itself last. If a candidate has the same text, the token overwrites this candidate.
    return Object.fromEntries([...named, [tokens[i] ?? "", logProb] as const]);
  });
  return {
    tokens,
    token_logprobs: places.map(({ logProb }) => logProb),
    top_logprobs: most === 0 ? null : top,
    text_offset: offsets,
  };
};

/** Log-probabilities in the format of `/v1/chat/completions` and `/v1/responses`: one entry for each token. */
export interface TokenLogProb {
  readonly token: string;
  readonly logprob: number;
  /** Bytes of the token's text in UTF-8; null for a special token. */
  readonly bytes: readonly number[] | null;
}

export interface TokenLogProbs extends TokenLogProb {
  readonly top_logprobs: readonly TokenLogProb[];
}

const entryOf = (tokenizer: Tokenizer, id: number, logprob: number): TokenLogProb => ({
  token: tokenizer.token(id),
  logprob,
  bytes: isSpecial(tokenizer, id) ? null : Array.from(tokenizer.bytes(id)),
});

/** @param most number of candidates at each position. */
export const tokenLogProbs = (
  tokenizer: Tokenizer,
  places: readonly TokenPlace[],
  most: number,
): readonly TokenLogProbs[] =>
  places.map(({ id, logProb, candidates }) => ({
    ...entryOf(tokenizer, id, logProb ?? 0),
    top_logprobs: candidates.slice(0, most).map((one) => entryOf(tokenizer, one.id, one.logProb)),
  }));
