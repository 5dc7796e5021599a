/**
 * Encodes documents as tokens and marks the tokens that the loss counts. In a conversation, the loss counts the
 * answers. In a plain text, it counts all tokens except the first.
 */

import { CheckpointError, ConfigError, DataError } from "../core/errors/errors.ts";
import { oneLine } from "../core/text/one-line.ts";
import { shorten } from "../core/text/show.ts";
import { type DocumentMessage, type Documents, documentsBuilder, type LocatedDocument } from "../data/documents.ts";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import { beginOf } from "../tokenizer/begin.ts";
import { encodePart } from "../tokenizer/special.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { LearnedTemplate, Written, WrittenText } from "./answers.ts";
import { markNames } from "./marks.ts";
import type { ChatMessage } from "./messages.ts";

/** Renders conversations with a template, in order. Time and memory are limited if the platform allows it. */
export type WriteConversations = (
  template: LearnedTemplate,
  conversations: Iterable<readonly ChatMessage[]>,
) => AsyncIterable<Written>;

/** The model for which documents are encoded. */
export interface Learner {
  readonly tokenizer: Tokenizer;
  /** Renders the model's conversations, or null if the model has no chat template. */
  readonly chatTemplate: ChatTemplate | null;
  /** End-of-text token for a tokenizer that does not define one. Undefined if the model has no such token. */
  readonly endToken?: number | undefined;
}

/** Encoded documents, with facts about them. */
export interface LearnedDocuments {
  readonly documents: Documents;
  /**
   * Number of conversations that became one document for each answer, because the template formats earlier answers
   * differently.
   */
  readonly divided: number;
  /** Index of the source document of each encoded document. */
  readonly sources: readonly number[];
  /** Ids of special tokens that end an answer. */
  readonly turnEnds: readonly number[];
}

const namesOf = ({ specialTokens }: Tokenizer): readonly string[] => specialTokens.map(({ name }) => name);

/** Condition in the error about a missing template. */
export const needsTemplate = "a model that learns from conversations must have a chat template";

/** @throws ConfigError if there is no template for the conversations. */
const checkTemplate = (template: ChatTemplate | null, where: string): ChatTemplate => {
  if (template !== null) return template;
  throw new ConfigError({
    where,
    must: needsTemplate,
    got: "none",
    hint: "a model with a chat template, the option chatTemplate, or documents of plain text",
  });
};

/** Adds the position in the document to an error of the tokenizer. */
const placed = (error: unknown, where: string): unknown =>
  error instanceof DataError ? new DataError({ ...error.details, where, cause: error }) : error;

/**
 * Encodes documents.
 * Conversations are rendered with the model's chat template. The loss counts all tokens of each answer, including its
 * end-of-turn token. A special token's name becomes a special token if the template wrote it. Inside a message, the
 * name stays text. Prompts and answers are encoded separately, as when the model answers. A plain text gets the tokens
 * that begin and end a text. The loss counts all tokens of a plain text except the first.
 * @param name of the documents, for errors.
 * @throws ConfigError for conversations without a template, CheckpointError for a conversation that the template cannot
 * render, DataError for a character that the tokenizer lacks.
 */
export const encodeDocuments = async (
  { tokenizer, chatTemplate, endToken = tokenizer.endOfText ?? undefined }: Learner,
  located: readonly LocatedDocument[],
  name: string,
  write: WriteConversations,
): Promise<LearnedDocuments> => {
  const builder = documentsBuilder(name);
  const sources: number[] = [];
  const names = namesOf(tokenizer);
  const conversations = located.flatMap(({ source }) => (source.kind === "chat" ? [source.messages] : []));
  const specials = new Set(tokenizer.specialTokens.map(({ id }) => id));
  const turnEnds = new Set<number>();
  let divided = 0;
  const { unmark } = markNames([], names);

  const begin = beginOf(tokenizer);
  const addText = (text: string): void => {
    if (begin !== undefined) builder.add(Int32Array.of(begin), false);
    builder.add(tokenizer.encode(text), true);
    if (endToken !== undefined) builder.add(Int32Array.of(endToken), true);
  };
  const addWritten = (messages: readonly DocumentMessage[], texts: readonly WrittenText[]): number => {
    let added = 0;
    for (const { text, answers } of texts) {
      // If the loss counts no token of a text, the model cannot learn from the text.
      if (!answers.some(({ message }) => messages[message]?.counted === true)) continue;
      let at = 0;
      const add = (to: number, counted: boolean): void => {
        const ids = encodePart(tokenizer, text, at, to, unmark);
        const last = ids.at(-1);
        if (counted && last !== undefined && specials.has(last)) turnEnds.add(last);
        builder.add(ids, counted);
        at = to;
      };
      for (const { message, from, to } of answers) {
        add(from, false);
        add(to, messages[message]?.counted === true);
      }
      builder.end();
      added++;
    }
    return added;
  };
  function* plain(): Generator<readonly ChatMessage[], void, undefined> {
    for (const messages of conversations) {
      yield markNames(
        messages.map(({ role, content }) => ({ role, content })),
        names,
      ).messages;
    }
  }

  const template = conversations.length === 0 ? null : checkTemplate(chatTemplate, name);
  const written = template === null ? undefined : write({ ...template, names }, plain())[Symbol.asyncIterator]();
  try {
    for (const [number, { where, source }] of located.entries()) {
      try {
        if (source.kind === "text") {
          addText(source.text);
          builder.end();
          sources.push(number);
          continue;
        }
        const outcome = (await written?.next())?.value;
        if (outcome === undefined || "fault" in outcome) {
          throw new CheckpointError({
            where,
            must: "the chat template must render the conversation",
            got: shorten(oneLine(outcome?.fault ?? "no text")),
            hint: "the messages in another order, or a file without this conversation",
          });
        }
        const added = addWritten(source.messages, outcome.texts);
        if (outcome.texts.length > 1) divided++;
        for (let i = 0; i < added; i++) sources.push(number);
      } catch (error) {
        throw placed(error, where);
      }
    }
  } finally {
    await written?.return?.();
  }
  return { documents: builder.build(), divided, sources, turnEnds: [...turnEnds] };
};
