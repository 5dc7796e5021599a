// The page's error messages. The library's messages are for programmers. If a visitor can fix an error, the page
// explains it in other words.

import { ForetokenError } from "foretoken/browser";

export interface Message {
  readonly title: string;
  readonly text: string;
  /** Label of a button that puts the run's text back into the box. Only set if this helps. */
  readonly putBack?: string;
}

const detailsOf = (error: unknown): { readonly where: string; readonly characters: readonly string[] } => {
  if (!(error instanceof ForetokenError)) return { where: "", characters: [] };
  const { where, characters = [] } = error.details;
  return { where, characters };
};

export const lineOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Message for an error in training on `text`, or in generation. */
export const messageOf = (error: unknown, text: string): Message => {
  const { where, characters } = detailsOf(error);
  if (where === "text") {
    return {
      title: "The run was trained on another text.",
      text: "Put the run's text back and press Resume, or press Train for a new run.",
      putBack: "Put the run's text back",
    };
  }
  if (where === "documents") {
    return {
      title: "The run was trained on documents.",
      text: "Empty the box and press Resume, or press Train for a new run.",
      putBack: "Empty the box",
    };
  }
  if (where.endsWith(" split") || (where === "tokenizer" && text === "")) {
    return {
      title: "The text is too short.",
      text: "Paste at least a few hundred characters. A page of text or more gives better results.",
    };
  }
  if (characters.length === 0) return { title: "This did not work.", text: lineOf(error) };
  const listed = characters.map((character) => `“${character}”`).join(" ");
  return {
    title: `The model does not know ${listed}.`,
    text: "Remove this from the prompt, or train on a text that contains it.",
  };
};

/** Message for a folder that the page cannot open because its run cannot be resumed. */
export const messageOfUnopened = (error: unknown): Message => {
  const { where } = detailsOf(error);
  if (where === "text") {
    return {
      title: "The folder does not contain the text of the run.",
      text: "Put the text of the run into the box, and open the folder again.",
    };
  }
  if (where === "documents") {
    return {
      title: "The folder does not contain the documents of the run.",
      text: "To resume the run in Node, use npx foretoken train --resume.",
    };
  }
  return { title: "The folder cannot be opened.", text: lineOf(error) };
};
