import { z } from "zod";
import { checkChatModel, checkKeys } from "../../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../../core/checks/config.ts";
import type { FinishReason } from "../../generate/events.ts";
import { generate } from "../../generate/generate.ts";
import { type GenerateOptions, generateOptionNames, parseGenerateOptions } from "../../generate/options.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import { type ChatModel, checkChats, conversationPrompt } from "../conversation.node.ts";
import type { ChatMessage } from "../messages.ts";
import { openTemplateRenderer } from "../template.node.ts";
import type { AnswerPiece } from "./reader.ts";
import {
  newCallId,
  readArguments,
  type Tool,
  type ToolCall,
  type ToolCallsMessage,
  type ToolChoice,
  type ToolMessage,
  templateMessages,
  templateTools,
  toolChoiceSchema,
  toolMessagesSchema,
  toolsSchema,
} from "./tools.ts";
import { toolTurn, withoutEndName } from "./turn.ts";

/**
 * Options of `chatWithTools`: the options of `generate`, with messages instead of a prompt, and tools instead of a
 * constraint.
 */
export interface ToolChatOptions
  extends Omit<GenerateOptions, "prompt" | "unknown" | "constraint" | "showSpecialTokens"> {
  /** The conversation so far. If the conversation is too long, the oldest messages are left out. */
  readonly messages: readonly ToolMessage[];
  /** Tools that the model may call: at least one. */
  readonly tools: readonly Tool[];
  /** Whether the model must call a tool. Default `auto`: the model decides. */
  readonly toolChoice?: ToolChoice | undefined;
  /** Whether one answer may contain several calls. Default true. */
  readonly parallelToolCalls?: boolean | undefined;
}

/** The last event of an answer of `chatWithTools`. */
export interface ToolChatDoneEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "done";
  /**
   * Why the answer ended, as in `generate`. `toolCalls`: the answer contains calls, and all of its calls are complete.
   */
  readonly finishReason: FinishReason | "toolCalls";
  /** The answer as the next message of the conversation. An incomplete call is left out. */
  readonly message: ToolCallsMessage | ChatMessage;
  /** Number of oldest messages that were left out because the conversation is longer than the context. */
  readonly leftOut: number;
  /** Number of tokens of the prompt. */
  readonly promptTokens: number;
  /** Number of tokens written. */
  readonly newTokens: number;
}

/** New text of the answer, outside of tool calls. */
export interface ToolChatTextEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "text";
  /** The new part of the text. */
  readonly text: string;
}

/** A call begins. */
export interface ToolChatCallEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "call";
  /** Index of the call in the answer, from 0. */
  readonly call: number;
  /** Id of the call. The message with the call's result must contain it. */
  readonly id: string;
  /** The name of the tool. */
  readonly name: string;
}

/** New text of a call's arguments. */
export interface ToolChatArgumentsEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "arguments";
  /** Index of the call in the answer, from 0. */
  readonly call: number;
  /** The new part of the JSON of the call's arguments. */
  readonly text: string;
}

/** Events of `chatWithTools`. */
export type ToolChatEvent = ToolChatTextEvent | ToolChatCallEvent | ToolChatArgumentsEvent | ToolChatDoneEvent;

const own = ["messages", "tools", "toolChoice", "parallelToolCalls"] as const;
const left = ["prompt", "unknown", "constraint", "showSpecialTokens"];
const optionNames = [...own, ...generateOptionNames.filter((name) => !left.includes(name))];

const optionsSchema = z.strictObject({
  messages: toolMessagesSchema,
  tools: toolsSchema.min(1),
  toolChoice: toolChoiceSchema.default("auto"),
  parallelToolCalls: z.boolean().default(true),
});

interface BegunCall {
  readonly id: string;
  readonly name: string;
  json: string;
}

/** An answer that is being written. */
const growingAnswer = () => {
  let content = "";
  const calls: BegunCall[] = [];
  return {
    take(piece: AnswerPiece): ToolChatEvent {
      if (piece.kind === "text") {
        content += piece.text;
        return { v: 1, type: "text", text: piece.text };
      }
      const { call } = piece;
      if (piece.kind === "call") {
        const id = newCallId();
        calls[call] = { id, name: piece.name, json: "" };
        return { v: 1, type: "call", call, id, name: piece.name };
      }
      const begun = calls[call];
      if (begun !== undefined) begun.json += piece.text;
      return { v: 1, type: "arguments", call, text: piece.text };
    },
    message(): ToolChatDoneEvent["message"] {
      const toolCalls = calls.flatMap(({ id, name, json }): ToolCall[] => {
        const read = readArguments(json);
        return read === undefined ? [] : [{ id, name, arguments: read }];
      });
      const role = "assistant" as const;
      return toolCalls.length === 0 ? { role, content } : { role, content, toolCalls };
    },
  };
};

/**
 * Writes the model's answer in a conversation in which it may call tools. The model's chat template defines the format
 * of calls. The arguments of a call meet the schema of its tool. The library runs no tool: the program runs the tool
 * and adds the result as a message with the role `tool`.
 * @param lm a model of `loadPretrained` or `loadInWorker` with a chat template that supports tools.
 * @param options the messages, the tools, and the settings of `generate`.
 * @throws ConfigError for invalid options, a template that does not support tools or writes calls in an unknown format,
 * or a schema with an unsupported keyword; CheckpointError for a template that is faulty or refuses the messages.
 * @example
 * ```ts
 * import { chatWithTools, loadInWorker, type ToolMessage } from "foretoken";
 *
 * const lm = await loadInWorker("runs/notes/best", { dtype: "auto" });
 * const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
 * const tools = [{ name: "weather", description: "The weather of a city.", parameters }];
 * const messages: ToolMessage[] = [{ role: "user", content: "Do I need an umbrella in Oslo?" }];
 * while (lm.chatTemplate !== null && messages.at(-1)?.role !== "assistant") {
 *   for await (const event of chatWithTools(lm, { messages, tools, temperature: 0, maxNewTokens: 200 })) {
 *     if (event.type === "text") process.stdout.write(event.text);
 *     if (event.type !== "done") continue;
 *     messages.push(event.message);
 *     if (!("toolCalls" in event.message)) continue;
 *     for (const { id } of event.message.toolCalls) {
 *       messages.push({ role: "tool", toolCallId: id, content: '{"rain": true}' });
 *     }
 *   }
 * }
 * await lm.close();
 * ```
 */
export async function* chatWithTools(
  lm: LanguageModel | (ChatModel & { readonly endTokens: readonly number[] }),
  options: ToolChatOptions,
): AsyncGenerator<ToolChatEvent, void, undefined> {
  checkChatModel("chatWithTools: model", lm);
  checkKeys("chatWithTools", options, optionNames);
  const { messages, tools, toolChoice, parallelToolCalls, signal, ...settings } = options;
  const given = withoutUndefined({ messages, tools, toolChoice, parallelToolCalls });
  const checked = parseConfig(optionsSchema, given, "chatWithTools");
  const { tokenizer, chatTemplate } = lm;
  const partner: ChatModel =
    "generate" in lm
      ? lm
      : { config: lm.model.config, tokenizer, chatTemplate, generate: (asked) => generate(lm, asked) };
  const where = "chatWithTools";
  const template = checkChats(partner, where);
  const { maxNewTokens } = parseGenerateOptions({ ...settings, prompt: [] });
  const conversation = templateMessages(checked.messages as readonly ToolMessage[], `${where}: messages`);
  const renderer = openTemplateRenderer();
  const prepared = await (async () => {
    try {
      const { toolChoice: choice } = checked;
      const { render } = renderer;
      const fieldOf = (index: number): string => `${where}.tools.${index}.parameters`;
      const told = choice === "none" ? [] : templateTools(checked.tools, fieldOf);
      const asked = { tools: checked.tools, parallel: checked.parallelToolCalls, fieldOf };
      const turn =
        choice === "none"
          ? undefined
          : await toolTurn(
              lm,
              template,
              { ...asked, choice },
              (written, probed) => render(template, written, where, probed),
              where,
            );
      const { ids, dropped } = await conversationPrompt(partner, conversation, maxNewTokens, where, {
        render,
        tools: told,
      });
      return { ids, turn, leftOut: dropped };
    } finally {
      renderer.close();
    }
  })();
  const { ids, turn, leftOut } = prepared;
  const reader = turn?.reader();
  const answer = growingAnswer();
  const pieces = (text: string): readonly AnswerPiece[] =>
    reader === undefined ? (text === "" ? [] : [{ kind: "text", text }]) : reader.push(text);
  const events = partner.generate({
    ...{ ...settings, signal, prompt: ids },
    ...(turn === undefined ? {} : { constraint: turn.constraint, showSpecialTokens: true }),
  });
  for await (const event of events) {
    if (event.type === "token") {
      const text = reader === undefined ? event.text : withoutEndName(lm, event.text, event.id);
      for (const piece of pieces(text)) yield answer.take(piece);
      continue;
    }
    for (const piece of reader?.end() ?? []) yield answer.take(piece);
    const { finishReason, promptTokens, newTokens } = event;
    const calls = reader?.calls ?? 0;
    // If a stop string cut a call, the answer is incomplete, so the reason is `length`.
    const isCut = reader?.isWhole === false && finishReason !== "aborted";
    const reason = isCut ? "length" : calls > 0 && finishReason !== "aborted" ? "toolCalls" : finishReason;
    const counts = { leftOut, promptTokens, newTokens };
    yield { v: 1, type: "done", finishReason: reason, message: answer.message(), ...counts };
  }
}
