/** Names of tokens that have no text, or only invisible text. */
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";
import { visible } from "./surprise.ts";

const specials: Readonly<Record<string, string>> = {
  endoftext: "end of text",
  end_of_text: "end of text",
  eos: "end of text",
  "/s": "end of text",
  im_start: "start of turn",
  start_of_turn: "start of turn",
  im_end: "end of turn",
  end_of_turn: "end of turn",
  eot_id: "end of turn",
  end: "end of turn",
  begin_of_text: "start of text",
  bos: "start of text",
  s: "start of text",
};

/** Name of a special token such as `<|endoftext|>`. Undefined for ordinary text. */
export const specialWords = (text: string): string | undefined => {
  const bare = /^<\|([^|<>\s]+)\|>$/u.exec(text)?.[1];
  if (bare !== undefined) return specials[bare] ?? bare.replaceAll("_", " ");
  const old = /^<(\/?s|eos|bos|(?:start|end)_of_turn)>$/u.exec(text)?.[1];
  return old === undefined ? undefined : specials[old];
};

/** Name of a token of bytes such as `<e2><80>`. The bytes are part of a character. */
const byteWords = (text: string): string | undefined =>
  /^(?:<[0-9a-f]{2}>)+$/u.test(text)
    ? `${text.length > 4 ? "bytes" : "byte"} ${text.slice(1, -1).replaceAll("><", " ")}`
    : undefined;

/** Name of a candidate that has no text to show. */
export const candidateWords = ({ text }: Pick<Candidate, "text">): string | undefined =>
  specialWords(text) ?? byteWords(text);

export interface NamedToken {
  readonly id: number;
  /** Text that the token adds. The text is empty if the character is incomplete, and at the end of the text. */
  readonly text: string;
  readonly isEnd?: boolean | undefined;
  readonly candidates?: readonly Candidate[] | undefined;
}

/** Name of a token that adds nothing to the text. Undefined if the token has its own text. */
export const tokenWords = ({ id, text, isEnd, candidates = [] }: NamedToken): string | undefined => {
  if (isEnd === true) return "end of text";
  const own = candidates.find((candidate) => candidate.id === id);
  if (text !== "" && text !== "\ufffd") return candidateWords({ text });
  const named = own === undefined ? undefined : candidateWords(own);
  // The text itself may contain the replacement character.
  return own?.text === "\ufffd" ? undefined : (named ?? "byte");
};

/** Name or visible text of a token, for use in a sentence. */
export const spokenToken = (token: NamedToken): string => tokenWords(token) ?? visible(token.text);

/** Text that a token adds. A special token adds no text. */
export const plainText = ({ text }: Pick<NamedToken, "text">): string => (specialWords(text) === undefined ? text : "");

const mostInName = 30;

/** First characters of a text on one line, enough to recognise it. */
export const beginningOf = (tokens: readonly Pick<NamedToken, "text">[]): string => {
  const characters = [...tokens.map(plainText).join("").replace(/\s+/gu, " ").trim()];
  if (characters.length <= mostInName) return characters.join("");
  return `${characters.slice(0, mostInName).join("").trimEnd()}…`;
};
