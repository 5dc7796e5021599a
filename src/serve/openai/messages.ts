/** Messages of a conversation, in the forms that OpenAI's clients send. */
import { z } from "zod";
import type { ChatMessage } from "../../chat/messages.ts";
import { invalid } from "./api-error.ts";
import { promptText } from "./completions.ts";

/** Messages of one request at most. */
const mostMessages = 4096;

const textPart = (types: readonly [string, ...string[]]) =>
  z.object({ type: z.enum(types, { error: `must be ${types.join(" or ")}` }), text: promptText });

const contentOf = (types: readonly [string, ...string[]]) =>
  z
    .union([promptText, z.array(textPart(types))], {
      error: `must be a text, or a list of parts of type ${types.join(" or ")}`,
    })
    .transform((content) => (typeof content === "string" ? content : content.map(({ text }) => text).join("")));

const roles = ["system", "developer", "user", "assistant"] as const;
const role = z.enum(roles, { error: `must be ${roles.join(", ")}` });

/** A message of `/v1/chat/completions`. */
export const chatMessages = z
  .array(
    z.object({
      role,
      content: contentOf(["text"]),
      name: z.null({ error: "is not supported" }).optional(),
      tool_calls: z.null({ error: "is not supported" }).optional(),
      function_call: z.null({ error: "is not supported" }).optional(),
      refusal: z.null({ error: "is not supported" }).optional(),
      audio: z.null({ error: "is not supported" }).optional(),
    }),
    { error: "must be a list of messages" },
  )
  .min(1, "must have at least one message")
  .max(mostMessages, `must be at most ${mostMessages} messages`);

/** The input of `/v1/responses`: a text, or messages. */
export const responseInput = z.union(
  [
    promptText,
    z
      .array(
        z.object({
          type: z.literal("message").optional(),
          role,
          content: contentOf(["input_text", "output_text"]),
          id: z.string().nullish(),
          status: z.string().nullish(),
          phase: z.string().nullish(),
        }),
      )
      .min(1, "must have at least one message")
      .max(mostMessages, `must be at most ${mostMessages} messages`),
  ],
  { error: "must be a text, or a list of messages whose parts are texts" },
);

/** As templates know them: a developer's message is the system's. */
export const conversationOf = (
  messages: readonly { readonly role: (typeof roles)[number]; readonly content: string }[],
  param: string,
): readonly ChatMessage[] => {
  if (messages.at(-1)?.role === "assistant")
    throw invalid(`${param}: the last message must not be the assistant's; got one`, param);
  return messages.map(({ role: given, content }) => ({ role: given === "developer" ? "system" : given, content }));
};
