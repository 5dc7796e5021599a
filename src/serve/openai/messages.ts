/** Messages of a conversation, in the forms that OpenAI's clients send. */
import { z } from "zod";
import type { ChatMessage } from "../../chat/messages.ts";
import { invalid } from "./api-error.ts";
import { promptText } from "./completions.ts";

/** Messages of one request at most. */
const mostMessages = 4096;

/** Fields of an answer that clients send back with it, and that nothing depends on where they are empty. */
const none = z.union([z.null(), z.array(z.never()).max(0)], { error: "is not supported" }).optional();

/** An object of these fields alone: one that is not known would be dropped. */
const known = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys"
        ? `must have known fields alone, not ${(keys ?? []).join(", ")}`
        : "must be an object",
  });

const textPart = (types: readonly [string, ...string[]]) =>
  known({
    type: z.enum(types, { error: `must be ${types.join(" or ")}` }),
    text: promptText,
    annotations: none,
    // As an answer has them: they were told, and change nothing.
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

/** A message of `/v1/chat/completions`. */
export const chatMessages = z
  .array(
    known({
      role,
      content: contentOf(["text"]),
      ...{ name: none, tool_calls: none, function_call: none, refusal: none, audio: none, annotations: none },
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
        known({
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
