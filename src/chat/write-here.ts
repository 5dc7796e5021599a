/** Writes conversations on this thread: for pages, which have no processes. */
import { yieldToHost } from "../core/system/yield.ts";
import { conversationWriter, type LearnedTemplate, type Written } from "./answers.ts";
import type { ChatMessage } from "./messages.ts";

/** Conversations between two pauses, in which the host may do other work. */
const betweenPauses = 64;

/** As `writeConversations` of Node, without its bounds: a template is a program, of whoever made the model. */
export async function* writeHere(
  template: LearnedTemplate,
  conversations: Iterable<readonly ChatMessage[]>,
): AsyncGenerator<Written, void, undefined> {
  try {
    const write = conversationWriter(template);
    let written = 0;
    for (const messages of conversations) {
      yield write(messages);
      if (++written % betweenPauses === 0) await yieldToHost();
    }
  } catch (error) {
    yield { fault: error instanceof Error ? error.message : String(error) };
  }
}
