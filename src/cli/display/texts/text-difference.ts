/** Describes a difference between two models' tokenizers or chat templates. */
import { show } from "../../../core/text/show.ts";
import type { ComparedToken, TextDifference } from "../../../evaluate/compare-text.ts";

const tokenText = (token: ComparedToken | null): string =>
  token === null ? "none" : `${show(token.text)}${token.special ? ", a special token" : ""}`;

const orNone = (value: string | number | null): string => (value === null ? "none" : show(value));

const idsText = (ids: readonly number[]): string => (ids.length === 0 ? "none" : ids.join(", "));

/** A line after the name of a file that describes the difference between the file and the model. */
export const textDifferenceText = (difference: TextDifference): string => {
  const both = (what: string, form: string, model: string): string => `${what} is ${form}; in the model: ${model}`;
  switch (difference.kind) {
    case "tokenizer":
      return difference.tokenizer === "none"
        ? "it has a tokenizer; the model has no readable tokenizer"
        : "it has no readable tokenizer; the model has a tokenizer";
    case "token":
      return both(`token ${difference.id}`, tokenText(difference.otherToken), tokenText(difference.token));
    case "merge":
      return both(`merge ${difference.index + 1}`, orNone(difference.otherMerge), orNone(difference.merge));
    case "ids": {
      const { text, index, id, otherId } = difference;
      return both(`id ${index + 1} of the text ${show(text)}`, orNone(otherId), orNone(id));
    }
    case "endTokens":
      return `ids that end a text: ${idsText(difference.otherEndTokens)}; in the model: ${idsText(difference.endTokens)}`;
    case "chatTemplate": {
      const { line, text, otherText } = difference;
      if (line === 1 && otherText === null) return "it has no chat template; the model has a chat template";
      if (line === 1 && text === null) return "it has a chat template; the model has no chat template";
      return both(`line ${line} of the chat template`, orNone(otherText), orNone(text));
    }
    case "templateToken": {
      const { name, token, otherToken } = difference;
      return both(`${name} of the chat template`, show(otherToken), show(token));
    }
    default:
      return difference satisfies never;
  }
};
