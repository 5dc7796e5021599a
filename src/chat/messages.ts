import { z } from "zod";
import { loneSurrogateAt, wellFormedText } from "../core/text/surrogate.ts";

const roles = ["system", "user", "assistant"] as const;

/** A message of a conversation. */
export interface ChatMessage {
  /** Who says it: `system`, `user` or `assistant`. */
  readonly role: (typeof roles)[number];
  /** Its text. */
  readonly content: string;
}

/** A message as templates know it: with the fields that `transformers` gives them. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
  /** Calls of an assistant; their arguments are objects. */
  readonly tool_calls?: readonly unknown[];
  /** Of a tool's message: the call that it answers, and the tool. */
  readonly tool_call_id?: string;
  readonly name?: string;
}

export const wellFormed = z.string().refine((text) => loneSurrogateAt(text) === -1, wellFormedText);

export const messageSchema = z.strictObject({ role: z.enum(roles), content: wellFormed });

export const messagesSchema = z.array(messageSchema).min(1);
