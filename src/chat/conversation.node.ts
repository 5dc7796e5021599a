import { CheckpointError, ConfigError } from "../core/errors/errors.ts";
import type { GenerateEvent } from "../generate/events.ts";
import type { GenerateOptions } from "../generate/options.ts";
import type { ModelConfig } from "../models/config.ts";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import { encodeWithSpecials } from "../tokenizer/special.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { markNames } from "./marks.ts";
import type { TemplateMessage } from "./messages.ts";
import { type RenderTemplate, renderTemplate } from "./template.node.ts";

/** A model as a conversation uses it: one of `loadInWorker` is one. */
export interface ChatModel {
  /** Its shape. */
  readonly config: ModelConfig;
  /** Text to token ids and back. */
  readonly tokenizer: Tokenizer;
  /** How a conversation is written out; null: the model is not made for one. */
  readonly chatTemplate: ChatTemplate | null;
  /** As the library's `generate`. */
  generate(options: GenerateOptions): AsyncGenerator<GenerateEvent, void, undefined>;
}

/**
 * Fails unless the model has a chat template.
 * @throws ConfigError
 */
export const checkChats = ({ chatTemplate }: Pick<ChatModel, "chatTemplate">, where: string): ChatTemplate => {
  if (chatTemplate !== null) return chatTemplate;
  throw new ConfigError({
    where,
    must: "the model must have a chat template, as models trained on conversations have",
    got: "none",
    hint: "`foretoken generate`, or an instruct or chat model",
  });
};

/**
 * The conversation as the model reads it, up to the place of its answer. The names of special tokens become their tokens
 * where the template wrote them, and stay text in a message.
 * @param render writes it out. Default: a process for this conversation alone.
 * @param tools that the template is told of, in OpenAI's form. Default: none.
 * @throws ConfigError for a model without a chat template, CheckpointError for a faulty one.
 */
export const conversationIds = async (
  lm: Pick<ChatModel, "tokenizer" | "chatTemplate">,
  messages: readonly TemplateMessage[],
  where: string,
  render: RenderTemplate = renderTemplate,
  tools: readonly unknown[] = [],
): Promise<Int32Array> => {
  const { tokenizer } = lm;
  const template = checkChats(lm, where);
  const names = tokenizer.specialTokens.map(({ name }) => name);
  const { messages: marked, tools: told, unmark } = markNames(messages, names, tools);
  const text = await render(template, marked, where, told);
  if (text === "") {
    throw new CheckpointError({
      where,
      must: "the chat template must write the conversation out",
      got: "no text",
      hint: "another model, or `foretoken generate`",
    });
  }
  return encodeWithSpecials(tokenizer, text, unmark);
};

/** A conversation that fits. */
export interface Prompt {
  readonly ids: Int32Array;
  /** Messages that were left out for it, the oldest. */
  readonly dropped: number;
}

/** The part of the context that stays free for an answer, at least. */
const shareOfAnswer = 1 / 4;

/** Places to cut a conversation at: before the first message, and before each later one of the user. */
const cutsOf = (messages: readonly TemplateMessage[], first: number): readonly number[] => [
  first,
  ...messages.flatMap(({ role }, i) => (i > first && role === "user" ? [i] : [])),
];

/** Options of `conversationPrompt`. */
export interface PromptOptions {
  /** Messages to leave out in any case: those that did not fit before. Default 0. */
  readonly atLeast?: number;
  /** Ids of an answer's first tokens: the prompt ends with them. Default: none. */
  readonly answer?: readonly number[];
  /** Writes a conversation out. Default: a process for each. */
  readonly render?: RenderTemplate;
  /** Tools that the template is told of. Default: none. */
  readonly tools?: readonly unknown[];
}

const tooLong = (length: number, most: number, contextLength: number, answer: readonly number[]): ConfigError => {
  const limit = `at most ${most} tokens with the template`;
  const context = `(the context is ${contextLength})`;
  return answer.length === 0
    ? new ConfigError({
        where: "message",
        must: `must leave room for an answer: ${limit} ${context}`,
        got: String(length),
        hint: "a shorter one",
      })
    : new ConfigError({
        where: "answer",
        must: `must leave room to go on: ${limit} and its message ${context}`,
        got: String(length),
        hint: "another message",
      });
};

/**
 * The prompt of a conversation. Of one that leaves no room for an answer of `maxNewTokens`, at most a quarter of the
 * context, the oldest messages are left out; a system message stays.
 * @param where the model, for errors.
 * @throws ConfigError if the last message alone is too long, or the model has no chat template; CheckpointError for a
 *   faulty template.
 */
export const conversationPrompt = async (
  lm: ChatModel,
  messages: readonly TemplateMessage[],
  maxNewTokens: number,
  where: string,
  { atLeast = 0, answer = [], render, tools = [] }: PromptOptions = {},
): Promise<Prompt> => {
  const { contextLength } = lm.config;
  const room = contextLength - Math.min(maxNewTokens, Math.floor(contextLength * shareOfAnswer));
  const first = messages[0]?.role === "system" ? 1 : 0;
  const cuts = cutsOf(messages, first);
  const from = async (cut: number): Promise<Int32Array> => {
    const kept = [...messages.slice(0, first), ...messages.slice(cuts[cut])];
    const ids = await conversationIds(lm, kept, where, render, tools);
    return answer.length === 0 ? ids : Int32Array.from([...ids, ...answer]);
  };
  const promptOf = (cut: number, ids: Int32Array): Prompt => ({ ids, dropped: (cuts[cut] ?? first) - first });
  // The fewest that must go, by bisection: each try writes the conversation out.
  let long = Math.max(
    0,
    cuts.findIndex((cut) => cut - first >= atLeast),
  );
  const ids = await from(long);
  if (ids.length <= room) return promptOf(long, ids);
  let fits = cuts.length - 1;
  let best = fits === long ? ids : await from(fits);
  if (best.length > room) throw tooLong(best.length, room, contextLength, answer);
  while (fits - long > 1) {
    const middle = (fits + long) >> 1;
    const tried = await from(middle);
    if (tried.length <= room) [fits, best] = [middle, tried];
    else long = middle;
  }
  return promptOf(fits, best);
};
