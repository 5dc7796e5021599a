import { z } from "zod";
import { loneSurrogateAt, wellFormedText } from "../core/text/surrogate.ts";

const roles = ["system", "user", "assistant"] as const;

/** A message of a conversation. */
export interface ChatMessage {
  /** The speaker: `system`, `user` or `assistant`. */
  readonly role: (typeof roles)[number];
  /** Its text. */
  readonly content: string;
}

/** A message in the format for templates, with the field names of `transformers`. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
  /** Tool calls of an assistant message. Their arguments are objects. */
  readonly tool_calls?: readonly unknown[];
  /** In a tool message: id of the call that it answers, and name of the tool. */
  readonly tool_call_id?: string;
  readonly name?: string;
}

export const wellFormed = z.string().refine((text) => loneSurrogateAt(text) === -1, wellFormedText);

export const messageSchema = z.strictObject({ role: z.enum(roles), content: wellFormed });

export const messagesSchema = z.array(messageSchema).min(1);
