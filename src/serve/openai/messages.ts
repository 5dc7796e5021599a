/** Messages of a conversation in the formats that OpenAI's clients send. */
import { z } from "zod";
import { readArguments, shallowObject, type ToolCall, type ToolMessage, toolName } from "../../chat/tools/tools.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { invalid } from "./api-error.ts";
import { known, promptText } from "./api-text.ts";

/** Maximum number of messages of one request. */
const mostMessages = 4096;

/** Fields of an answer that clients send back in later requests. These fields are accepted only if they are empty. */
const none = z.union([z.null(), z.array(z.never()).max(0)], { error: "is not supported" }).optional();

const textPart = (types: readonly [string, ...string[]]) =>
  known({
    type: z.enum(types, { error: `must be ${types.join(" or ")}` }),
    text: promptText,
    annotations: none,
    // Clients send back the log-probabilities of earlier answers. The server ignores these log-probabilities.
    logprobs: z.unknown().optional(),
  });

const contentOf = (types: readonly [string, ...string[]]) =>
  z
    .union([promptText, z.array(textPart(types))], {
      error: `must be a text, or a list of parts of type ${types.join(" or ")}`,
    })
    .transform((content) => (typeof content === "string" ? content : content.map(({ text }) => text).join("")));

const roles = ["system", "developer", "user", "assistant"] as const;
const role = z.enum(roles, { error: `must be ${roles.join(", ")}` });

const callId = z.string({ error: "must be a string" }).min(1, "must not be empty");

/** Arguments of a tool call as a JSON text. Answers contain the arguments in the same format. */
const argumentsText = promptText.transform((json, context) => {
  const read = shallowObject.safeParse(readArguments(json));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const message = issue?.code === "custom" ? issue.message : "must be a JSON object as text";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const toolCall = known({
  id: callId,
  type: z.literal("function", { error: "must be function" }),
  function: known({ name: toolName, arguments: argumentsText }),
  // Tool calls in streamed answers have this field.
  index: z.int().nullish(),
}).transform(({ id, function: { name, arguments: given } }): ToolCall => ({ id, name, arguments: given }));

const unknownFields = { name: none, function_call: none, refusal: none, audio: none, annotations: none };

const chatMessage = known({
  role: z.enum([...roles, "tool"], { error: `must be ${roles.join(", ")} or tool` }),
  content: contentOf(["text"]).nullish(),
  tool_calls: z.array(toolCall, { error: "must be a list of tool calls" }).nullish(),
  tool_call_id: callId.nullish(),
  ...unknownFields,
}).transform((message, context): ToolMessage => {
  const { role: given, content, tool_calls: calls, tool_call_id: id } = message;
  const wrong = (path: string, problem: string): never => {
    context.addIssue({ code: "custom", message: problem, path: [path] });
    return z.NEVER;
  };
  const toolCalls = calls ?? [];
  if (toolCalls.length > 0 && given !== "assistant") return wrong("tool_calls", "must be in an assistant message");
  if (id != null && given !== "tool") return wrong("tool_call_id", "must be in a tool message");
  if (content == null && toolCalls.length === 0)
    return wrong("content", "must be a text, or a list of parts of type text");
  if (given === "tool") {
    return id == null
      ? wrong("tool_call_id", "must be the id of a tool call")
      : { role: "tool", toolCallId: id, content: content ?? "" };
  }
  if (given === "assistant" && toolCalls.length > 0) return { role: given, content: content ?? "", toolCalls };
  return { role: given === "developer" ? "system" : given, content: content ?? "" };
});

/** The messages of `/v1/chat/completions`. */
export const chatMessages = z
  .array(chatMessage, { error: "must be a list of messages" })
  .min(1, "must have at least one message")
  .max(mostMessages, `must be at most ${mostMessages} messages`);

const itemFields = { id: z.string().nullish(), status: z.string().nullish() };

const responseItem = z.union(
  [
    known({
      type: z.literal("message").optional(),
      role,
      content: contentOf(["input_text", "output_text"]),
      ...itemFields,
      phase: z.string().nullish(),
    }).transform(
      ({ role: given, content }): ToolMessage => ({ role: given === "developer" ? "system" : given, content }),
    ),
    known({
      type: z.literal("function_call"),
      ...{ call_id: callId, name: toolName, arguments: argumentsText },
      ...itemFields,
    }).transform(
      ({ call_id: id, name, arguments: given }): ToolMessage => ({
        ...{ role: "assistant", content: "" },
        toolCalls: [{ id, name, arguments: given }],
      }),
    ),
    known({
      type: z.literal("function_call_output"),
      call_id: callId,
      output: contentOf(["input_text", "output_text"]),
      ...itemFields,
    }).transform(({ call_id: toolCallId, output }): ToolMessage => ({ role: "tool", toolCallId, content: output })),
  ],
  {
    error: ({ input }) =>
      isRecord(input) && input.type === "item_reference"
        ? "must be a whole item, not an item_reference, because nothing is stored (in the AI SDK set the provider option store: false)"
        : undefined,
  },
);

/** Joins an assistant message and the tool calls that follow it into one message. */
const joined = (messages: readonly ToolMessage[]): readonly ToolMessage[] => {
  const all: ToolMessage[] = [];
  for (const message of messages) {
    const before = all.at(-1);
    if (before?.role === "assistant" && "toolCalls" in message) {
      const calls = "toolCalls" in before ? before.toolCalls : [];
      all[all.length - 1] = { ...message, content: before.content, toolCalls: [...calls, ...message.toolCalls] };
    } else all.push(message);
  }
  return all;
};

/** The input of `/v1/responses`: a text, or a list of messages, tool calls and tool results. */
export const responseInput = z.union(
  [
    promptText.transform((content): readonly ToolMessage[] => [{ role: "user", content }]),
    z
      .array(responseItem)
      .min(1, "must have at least one message")
      .max(mostMessages, `must be at most ${mostMessages} messages`)
      .transform(joined),
  ],
  { error: "must be a text, or a list of messages with texts as parts" },
);

/** @throws ApiError for a conversation that the model cannot answer. */
export const checkConversation = (messages: readonly ToolMessage[], param: string): void => {
  if (messages.at(-1)?.role === "assistant")
    throw invalid(`${param}: the last message must not be from the assistant; got an assistant message`, param);
};
