/** Names of tokens that have no text of their own, or none that can be seen. */
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

/** `<|endoftext|>` in words; undefined: an ordinary text. */
export const specialWords = (text: string): string | undefined => {
  const bare = /^<\|([^|<>\s]+)\|>$/u.exec(text)?.[1];
  if (bare !== undefined) return specials[bare] ?? bare.replaceAll("_", " ");
  const old = /^<(\/?s|eos|bos|(?:start|end)_of_turn)>$/u.exec(text)?.[1];
  return old === undefined ? undefined : specials[old];
};

/** `<e2><80>`, bytes of a character that lacks others, in words. */
const byteWords = (text: string): string | undefined =>
  /^(?:<[0-9a-f]{2}>)+$/u.test(text)
    ? `${text.length > 4 ? "bytes" : "byte"} ${text.slice(1, -1).replaceAll("><", " ")}`
    : undefined;

/** A candidate that has no text to show: what stands in its place. */
export const candidateWords = ({ text }: Pick<Candidate, "text">): string | undefined =>
  specialWords(text) ?? byteWords(text);

export interface NamedToken {
  readonly id: number;
  /** What it adds to the text: nothing, where its character lacks bytes, and at the end. */
  readonly text: string;
  readonly isEnd?: boolean | undefined;
  readonly candidates?: readonly Candidate[] | undefined;
}

/** What stands in place of a token that adds nothing to the text; undefined: its own text does. */
export const tokenWords = ({ id, text, isEnd, candidates = [] }: NamedToken): string | undefined => {
  if (isEnd === true) return "end of text";
  const own = candidates.find((candidate) => candidate.id === id);
  if (text !== "" && text !== "\ufffd") return candidateWords({ text });
  const named = own === undefined ? undefined : candidateWords(own);
  // The sign that stands for what is no character may be one of the text's own.
  return own?.text === "\ufffd" ? undefined : (named ?? "byte");
};

/** A token in a sentence. */
export const spokenToken = (token: NamedToken): string => tokenWords(token) ?? visible(token.text);

/** The text that a token stands for: a special one is none. */
export const plainText = ({ text }: Pick<NamedToken, "text">): string => (specialWords(text) === undefined ? text : "");

const mostInName = 30;

/** The first characters of a text, in one line: enough to know it among others. */
export const beginningOf = (tokens: readonly Pick<NamedToken, "text">[]): string => {
  const characters = [...tokens.map(plainText).join("").replace(/\s+/gu, " ").trim()];
  if (characters.length <= mostInName) return characters.join("");
  return `${characters.slice(0, mostInName).join("").trimEnd()}…`;
};
