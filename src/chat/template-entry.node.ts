/**
 * The program of a process that writes out conversations: their template may do anything, so it is given little of all.
 * A line of input is a request in JSON, a line of output its outcome.
 */
import { createInterface } from "node:readline";
import { Template } from "@huggingface/jinja";
import { conversationWriter, type LearnedTemplate, type WriteConversation } from "./answers.ts";
import type { ChatMessage } from "./messages.ts";

/** A conversation to go on with, or, after a template, conversations to learn from. */
type Request =
  | { readonly template: string; readonly variables: Record<string, unknown> }
  | { readonly learn: LearnedTemplate }
  | { readonly messages: readonly ChatMessage[] };

let write: WriteConversation = () => ({ fault: "no template" });

const outcomeOf = (request: Request): unknown => {
  try {
    if ("template" in request) return { text: new Template(request.template).render(request.variables) };
    if ("messages" in request) return write(request.messages);
    write = conversationWriter(request.learn);
    return { texts: [] };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  process.stdout.write(`${JSON.stringify(outcomeOf(JSON.parse(line) as Request))}\n`);
}
