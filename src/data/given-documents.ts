/** Documents that a program passes as values instead of files. */
import { DataError } from "../core/errors/errors.ts";
import { openingWords } from "./corpus.ts";
import type { DocumentsSplit, LocatedDocument } from "./documents.ts";
import { documentOf, type GivenDocument } from "./parse-document.ts";

/** Documents in memory, with optional validation documents. */
export interface GivenDocuments {
  readonly documents: readonly GivenDocument[];
  readonly valDocuments?: readonly GivenDocument[] | undefined;
}

/** Checks given documents one by one. @param name name of the list of documents in errors. */
export const locatedDocuments = (given: readonly unknown[], name: string): readonly LocatedDocument[] => {
  if (given.length === 0) {
    throw new DataError({ where: name, must: "there must be at least one document", got: "none" });
  }
  return Array.from(given, (one, i) => ({ where: `${name}[${i}]`, source: documentOf(one, `${name}[${i}]`) }));
};

/** Maximum number of characters of a prompt. */
const longestPrompt = 300;

/** A prompt for samples: the first question of the validation conversations, or the opening words of a text. */
export const promptOfDocuments = ({ train, val }: DocumentsSplit): string => {
  for (const { source } of [...val, ...train]) {
    if (source.kind === "text") return openingWords(source.text);
    const question = source.messages.find(({ role, content }) => role === "user" && content.trim() !== "");
    if (question !== undefined)
      return [...question.content.trim().slice(0, 2 * longestPrompt)].slice(0, longestPrompt).join("");
  }
  return "";
};
