/**
 * A model in this process that may call tools. The program does not run tools: it shows the calls, and the user types
 * the results.
 */
import type { ChatModel } from "../../chat/conversation.node.ts";
import { chatWithTools, type ToolChatEvent } from "../../chat/tools/chat-with-tools.node.ts";
import type { Tool, ToolMessage } from "../../chat/tools/tools.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import type { AnswerRequest, ChatPartner } from "./chat-partner.ts";

/** Formats an event for people. A tool call has its own line. */
const shownOf = (event: Exclude<ToolChatEvent, { type: "done" }>, isFirst: boolean): string =>
  event.type === "call" ? `${isFirst ? "" : "\n"}${event.name} ` : event.text;

async function* answerEvents(
  lm: ChatModel & { readonly endTokens: readonly number[] },
  tools: readonly Tool[],
  { messages, settings, seed, signal }: AnswerRequest,
  done: (message: ToolMessage, leftOut: number) => void,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { unknown: _, showSpecialTokens: __, ...rest } = settings;
  let text = "";
  let index = 0;
  for await (const event of chatWithTools(lm, { ...rest, messages, tools, seed, signal })) {
    if (event.type !== "done") {
      const shown = shownOf(event, text === "");
      text += shown;
      yield { v: 1, type: "token", index: index++, id: -1, text: shown };
      continue;
    }
    const { message, leftOut, promptTokens, newTokens } = event;
    done(message, leftOut);
    const finishReason = event.finishReason === "toolCalls" ? "endOfText" : event.finishReason;
    yield { v: 1, type: "done", task: "generate", finishReason, text, promptTokens, newTokens };
  }
}

export const toolPartner = (
  lm: ChatModel & { readonly endTokens: readonly number[] },
  tools: readonly Tool[],
): ChatPartner => ({
  async answer(request) {
    const said: { message?: ToolMessage; leftOut: number } = { leftOut: 0 };
    const events = answerEvents(lm, tools, request, (message, leftOut) => {
      said.message = message;
      said.leftOut = leftOut;
    });
    return { dropped: () => said.leftOut, events, message: () => said.message };
  },
});
