/**
 * Compact format in which conversations are stored. The browser's storage has space for only a few million characters,
 * and each token has several candidates.
 */
import type { WrittenToken } from "../../tokens/written-token.ts";
import type { Answer, Conversation, Message, Said } from "./tree.ts";

/**
 * A token as a list: id, text, probability, end mark and candidates. The end mark is 1 if the token ended the answer,
 * and otherwise 0. A candidate is a list of id, text and probability.
 */
type KeptToken = readonly [number, string, number | null, 0 | 1, readonly (readonly [number, string, number])[]];

type KeptMessage = Said | (Omit<Answer, "tokens"> & { readonly kept: readonly KeptToken[] });

export type KeptConversation = Omit<Conversation, "messages"> & { readonly messages: readonly KeptMessage[] };

const digits = 4;
const rounded = (value: number): number => Number(value.toPrecision(digits));

const keptToken = ({ id, text, probability, candidates, isEnd = false }: WrittenToken, whole: boolean): KeptToken => [
  id,
  text,
  probability === undefined ? null : rounded(probability),
  isEnd ? 1 : 0,
  whole ? candidates.map((one) => [one.id, one.text, rounded(one.probability)]) : [],
];

const tokenOf = ([id, text, probability, end, candidates]: KeptToken): WrittenToken => ({
  ...{ id, text, probability: probability ?? undefined, isChosen: false, isEnd: end === 1 },
  candidates: candidates.map(([other, itsText, share]) => ({
    ...{ id: other, text: itsText, probability: share, logProb: Math.log(share) },
  })),
});

/** @param whole whether to include the candidates of each token. */
export const keptForm = (conversations: readonly Conversation[], whole: boolean): readonly KeptConversation[] =>
  conversations.map((one) => ({
    ...one,
    messages: one.messages.map((message): KeptMessage => {
      if (message.kind === "said") return message;
      const { tokens, ...others } = message;
      return { ...others, kept: tokens.map((token) => keptToken(token, whole)) };
    }),
  }));

/** An answer that was being written when the page closed counts as stopped. */
export const conversationsOf = (kept: readonly KeptConversation[]): readonly Conversation[] =>
  kept.map((one) => ({
    ...one,
    messages: one.messages.map((message): Message => {
      if (message.kind === "said") return message;
      const { kept: tokens, state, ...others } = message;
      return { ...others, state: state === "writing" ? "stopped" : state, tokens: tokens.map(tokenOf) };
    }),
  }));
