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

const wellFormed = z.string().refine((text) => loneSurrogateAt(text) === -1, wellFormedText);

export const messagesSchema = z.array(z.strictObject({ role: z.enum(roles), content: wellFormed })).min(1);
