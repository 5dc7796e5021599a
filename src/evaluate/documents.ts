/** Encodes a part of a data set of documents, to evaluate a model on it. */
import { encodeDocuments, type WriteConversations } from "../chat/learn.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { DocumentsSplit } from "../data/documents.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { UnknownChoice } from "../tokenizer/unknown.ts";
import type { MeasuredDocuments, SplitName } from "./evaluate-corpus.ts";

/** The parts of a model that encoding needs. */
export type DocumentReader = Pick<LanguageModel, "tokenizer" | "chatTemplate" | "endTokens">;

/**
 * Encodes a part of a data set of documents.
 * @throws ConfigError for conversations without a chat template, or if characters should be skipped. CheckpointError
 * for a conversation that the template cannot write. DataError for a character that the tokenizer lacks.
 */
export const measuredDocuments = async (
  { tokenizer, chatTemplate, endTokens }: DocumentReader,
  { name, train, val }: DocumentsSplit & { readonly name: string },
  split: SplitName,
  unknown: UnknownChoice | undefined,
  write: WriteConversations,
): Promise<MeasuredDocuments> => {
  if (unknown === "skip") {
    throw new ConfigError({
      where: "unknown",
      must: "must be error for documents: characters of documents cannot be skipped",
      got: "skip",
      hint: "documents without those characters",
    });
  }
  const located = split === "all" ? [...train, ...val] : split === "train" ? train : val;
  const learner = { tokenizer, chatTemplate, endToken: tokenizer.endOfText ?? endTokens[0] };
  return { name, documents: (await encodeDocuments(learner, located, name, write)).documents };
};
