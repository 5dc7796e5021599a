/** Finds the system message that a chat template adds to a conversation without a system message. */
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import type { TemplateMessage } from "./messages.ts";
import { type RenderTemplate, renderTemplate } from "./template.node.ts";

/** A system message that no template contains. */
const probe = "foretoken-probe-of-a-system-message";
const question: TemplateMessage = { role: "user", content: "?" };

/**
 * The system message that the template adds. The function renders a conversation with and without a system message. If
 * the two texts differ only in the system message, the rest of the text is what the template added.
 * @returns null if the template adds none; undefined if the two texts do not show it.
 */
export const systemOfTemplate = async (
  template: ChatTemplate,
  render: RenderTemplate = renderTemplate,
): Promise<string | null | undefined> => {
  try {
    const alone = await render(template, [question], "model");
    const given = await render(template, [{ role: "system", content: probe }, question], "model");
    const [before, after, ...others] = given.split(probe);
    if (before === undefined || after === undefined || others.length > 0) return undefined;
    const isBetween = before !== "" && alone.startsWith(before) && alone.endsWith(after);
    const added = alone.slice(before.length, alone.length - after.length).trim();
    return isBetween && alone.length >= given.length - probe.length && added !== "" ? added : null;
  } catch {
    // The template refuses system messages, or it is faulty. An answer then reports the error.
    return undefined;
  }
};

/** Says which system message a conversation without a message of the user's own has. */
export const systemInWords = (added: string | null | undefined): string => {
  const own = "you have not set a system message";
  if (added === undefined) return `${own}; the model's chat template may add its own`;
  return added === null ? own : `${own}; the model's chat template adds its own: ${added}`;
};
