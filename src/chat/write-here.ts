/** Renders conversations on this thread, for web pages: a page cannot start processes. */
import { yieldToHost } from "../core/system/yield.ts";
import { conversationWriter, type LearnedTemplate, type Written } from "./answers.ts";
import type { ChatMessage } from "./messages.ts";

/** Number of conversations before a short pause. In the pause, the host can do other work. */
const betweenPauses = 64;

/**
 * Same as `writeConversations` in Node, but without limits on the template, which is a program by the author of the
 * model.
 */
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
