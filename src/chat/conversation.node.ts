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

/** The parts of a model that a conversation needs. A model from `loadInWorker` has these parts. */
export interface ChatModel {
  /** Its shape. */
  readonly config: ModelConfig;
  /** Encodes text as token ids and decodes them. */
  readonly tokenizer: Tokenizer;
  /** Renders conversations, or null if the model has no chat template. */
  readonly chatTemplate: ChatTemplate | null;
  /** Writes a text, like the function `generate` of the library. */
  generate(options: GenerateOptions): AsyncGenerator<GenerateEvent, void, undefined>;
}

/**
 * Returns the model's chat template.
 * @throws ConfigError if the model has no chat template.
 */
export const checkChats = ({ chatTemplate }: Pick<ChatModel, "chatTemplate">, where: string): ChatTemplate => {
  if (chatTemplate !== null) return chatTemplate;
  throw new ConfigError({
    where,
    must: "the model must have a chat template (models trained on conversations have one)",
    got: "none",
    hint: "`foretoken generate`, or an instruct or chat model",
  });
};

/**
 * The conversation as token ids, up to the position where the answer begins. A special token's name becomes a special
 * token if the template wrote it. Inside a message, the name stays text.
 * @param render renders the conversation. Default: a process for this conversation only.
 * @param tools tools for the template, in OpenAI's format. Default: none.
 * @throws ConfigError for a model without a chat template, CheckpointError for a faulty template.
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
      must: "the chat template must render the conversation",
      got: "no text",
      hint: "another model, or `foretoken generate`",
    });
  }
  return encodeWithSpecials(tokenizer, text, unmark);
};

/** A prompt that fits into the context. */
export interface Prompt {
  readonly ids: Int32Array;
  /** Number of oldest messages that do not fit and were left out. */
  readonly dropped: number;
}

/** Maximum share of the context that is reserved for the answer. */
const shareOfAnswer = 1 / 4;

/**
 * Indices of the messages at which a conversation may be cut: the first message, and each later message of the user.
 */
const cutsOf = (messages: readonly TemplateMessage[], first: number): readonly number[] => [
  first,
  ...messages.flatMap(({ role }, i) => (i > first && role === "user" ? [i] : [])),
];

/** Options of `conversationPrompt`. */
export interface PromptOptions {
  /** Minimum number of messages to leave out, because they did not fit in an earlier call. Default 0. */
  readonly atLeast?: number;
  /** Ids of the first tokens of the answer; the prompt ends with them. Default: none. */
  readonly answer?: readonly number[];
  /** Renders a conversation. Default: a process for each conversation. */
  readonly render?: RenderTemplate;
  /** Tools for the template. Default: none. */
  readonly tools?: readonly unknown[];
}

const tooLong = (length: number, most: number, contextLength: number, answer: readonly number[]): ConfigError => {
  const limit = `at most ${most} tokens`;
  const context = `of the context of ${contextLength} tokens`;
  return answer.length === 0
    ? new ConfigError({
        where: "message",
        must: `must leave room for an answer: message and template may have ${limit} ${context}`,
        got: String(length),
        hint: "a shorter message",
      })
    : new ConfigError({
        where: "answer",
        must: `must leave room for more tokens: message, template and answer may have ${limit} ${context}`,
        got: String(length),
        hint: "another message",
      });
};

/**
 * The prompt of a conversation. The prompt leaves enough context for an answer: `maxNewTokens` tokens, but at most a
 * quarter of the context. If the conversation is too long, the oldest messages are left out, but a system message
 * stays.
 * @param where the model, for errors.
 * @throws ConfigError if the last message alone is too long, or the model has no chat template; CheckpointError for a
 * faulty template.
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
  // Finds the smallest number of messages to leave out. Bisection needs few tries; each try renders the conversation.
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
