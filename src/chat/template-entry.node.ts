/**
 * Program of a separate process that renders conversations. A template may contain any code, so the time, the memory
 * and the output of the process are limited. Each line of input is a request in JSON. Each line of output is the
 * outcome of a request.
 */
import { createInterface } from "node:readline";
import { Template } from "@huggingface/jinja";
import { conversationWriter, type LearnedTemplate, type WriteConversation } from "./answers.ts";
import type { ChatMessage } from "./messages.ts";

/**
 * A request to this thread: renders one template, sets the template for training, or renders a training conversation
 * with that template.
 */
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
