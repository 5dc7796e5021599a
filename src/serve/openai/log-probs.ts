/** Log-probabilities of tokens in the two forms that OpenAI's answers have. */
import type { Candidate } from "../../pretrained/model/likeliest.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** A token of a text, with what is known of its place. */
export interface TokenPlace {
  readonly id: number;
  /** null: nothing predicts the first token of a prompt. */
  readonly logProb: number | null;
  readonly candidates: readonly Candidate[];
}

const strict = new TextDecoder("utf-8", { fatal: true });

const isSpecial = (tokenizer: Tokenizer, id: number): boolean => tokenizer.bytes(id).length === 0;

/** The text of one token; of one with a part of a character its bytes, as `bytes:\xe2\x80`. No two tokens with bytes have the same. */
const textOfToken = (tokenizer: Tokenizer, id: number): string => {
  const bytes = tokenizer.bytes(id);
  if (bytes.length === 0) return tokenizer.token(id);
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
};

/** The form of `/v1/completions`: lists of as many entries. */
export interface ListedLogProbs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  /** null: `logprobs` is 0. Its entries are null where nothing predicts a token. */
  readonly top_logprobs: (Record<string, number> | null)[] | null;
  /** Unicode code points before each token, from the beginning of the prompt. */
  readonly text_offset: number[];
}

/** Counts the code points before each token of a text that comes in pieces, of which one may end within a character. */
export type TextOffsets = (id: number) => number;

/** @param from code points before the first token. */
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
 * @param most tokens to name at each place; the token that is there is named besides.
 * @param offsetOf counts on from the places before.
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
    // Last: of two special tokens of one name it is the one that is there.
    return Object.fromEntries([...named, [tokens[i] ?? "", logProb] as const]);
  });
  return {
    tokens,
    token_logprobs: places.map(({ logProb }) => logProb),
    top_logprobs: most === 0 ? null : top,
    text_offset: offsets,
  };
};

/** The form of `/v1/chat/completions` and `/v1/responses`: an entry for each token. */
export interface TokenLogProb {
  readonly token: string;
  readonly logprob: number;
  /** Bytes of its text in UTF-8; null for a special token. */
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

/** @param most tokens to name at each place. */
export const tokenLogProbs = (
  tokenizer: Tokenizer,
  places: readonly TokenPlace[],
  most: number,
): readonly TokenLogProbs[] =>
  places.map(({ id, logProb, candidates }) => ({
    ...entryOf(tokenizer, id, logProb ?? 0),
    top_logprobs: candidates.slice(0, most).map((one) => entryOf(tokenizer, one.id, one.logProb)),
  }));
