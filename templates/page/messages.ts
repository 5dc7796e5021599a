// What the page says of an error. The library's words are for programs: a visitor gets others for an error that they can mend.
import { ForetokenError } from "foretoken/browser";

export interface Message {
  readonly title: string;
  readonly text: string;
  /** Name of a button that puts the run's text back into the box, where that helps. */
  readonly putBack?: string;
}

const detailsOf = (error: unknown): { readonly where: string; readonly characters: readonly string[] } => {
  if (!(error instanceof ForetokenError)) return { where: "", characters: [] };
  const { where, characters = [] } = error.details;
  return { where, characters };
};

export const lineOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Of training on `text`, and of writing. */
export const messageOf = (error: unknown, text: string): Message => {
  const { where, characters } = detailsOf(error);
  if (where === "text") {
    return {
      title: "The run has learned another text.",
      text: "Go on with that one, or press Train for a new run.",
      putBack: "Put its text back",
    };
  }
  if (where === "documents") {
    return {
      title: "The run has learned documents.",
      text: "Empty the box to go on with them, or press Train for a new run.",
      putBack: "Empty the box",
    };
  }
  if (where.endsWith(" split") || (where === "tokenizer" && text === "")) {
    return {
      title: "The text is too short.",
      text: "Paste at least a few hundred characters; with a page or more it learns to write.",
    };
  }
  if (characters.length === 0) return { title: "That did not work.", text: lineOf(error) };
  const listed = characters.map((character) => `“${character}”`).join(" ");
  return { title: `The model never saw ${listed}.`, text: "Leave that out, or train on a text that has it." };
};

/** Of a folder that the page does not open, since its run cannot go on. */
export const messageOfUnopened = (error: unknown): Message => {
  const { where } = detailsOf(error);
  if (where === "text") {
    return {
      title: "The folder does not have the text that the run learned.",
      text: "Put that text into the box, and open the folder again.",
    };
  }
  if (where === "documents") {
    return {
      title: "The folder does not have the documents that the run learned.",
      text: "In Node, npx foretoken train --resume goes on with it.",
    };
  }
  return { title: "The folder cannot be opened.", text: lineOf(error) };
};
