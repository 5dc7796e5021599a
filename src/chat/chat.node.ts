import { checkChatModel, checkKeys } from "../core/checks/check-arguments.ts";
import { parseConfig } from "../core/checks/config.ts";
import type { GenerateEvent } from "../generate/events.ts";
import { generate } from "../generate/generate.ts";
import { type GenerateOptions, generateOptionNames, parseGenerateOptions } from "../generate/options.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { type ChatModel, conversationPrompt } from "./conversation.node.ts";
import { type ChatMessage, messagesSchema } from "./messages.ts";

/** Options of `chat`: the options of `generate`, with messages instead of a prompt. */
export interface ChatOptions extends Omit<GenerateOptions, "prompt" | "unknown"> {
  /**
   * The conversation so far. The last message must be from the user. If the conversation is too long, the oldest
   * messages are left out.
   */
  readonly messages: readonly ChatMessage[];
}

const optionNames = ["messages", ...generateOptionNames.filter((name) => name !== "prompt" && name !== "unknown")];

const chatModelOf = (lm: LanguageModel | ChatModel): ChatModel => {
  if ("generate" in lm) return lm;
  const { model, tokenizer, chatTemplate } = lm;
  return { config: model.config, tokenizer, chatTemplate, generate: (options) => generate(lm, options) };
};

/**
 * Writes the model's answer in a conversation, token by token, with the events of `generate`. The model's own chat
 * template renders the conversation. Text in a message that looks like a special token stays ordinary text.
 * @param lm a model of `loadPretrained` or `loadInWorker` that has a chat template.
 * @param options the messages, and the settings of `generate`.
 * @throws ConfigError for missing, invalid or too long messages, or a model without a chat template; CheckpointError
 * for a template that is faulty or refuses the messages.
 * @example
 * ```ts
 * import { chat, loadInWorker } from "foretoken";
 *
 * const lm = await loadInWorker("runs/notes/best", { dtype: "auto" });
 * const messages = [{ role: "user", content: "Name three rivers." }] as const;
 * if (lm.chatTemplate !== null) {
 *   for await (const event of chat(lm, { messages, maxNewTokens: 200, temperature: 0.3 })) {
 *     if (event.type === "token") process.stdout.write(event.text);
 *   }
 * }
 * await lm.close();
 * ```
 */
export async function* chat(
  lm: LanguageModel | ChatModel,
  options: ChatOptions,
): AsyncGenerator<GenerateEvent, void, undefined> {
  checkChatModel("chat: model", lm);
  checkKeys("chat", options, optionNames);
  const { messages, signal, ...settings } = options;
  const checked = parseConfig(messagesSchema, messages, "chat: messages");
  const partner = chatModelOf(lm);
  const { maxNewTokens } = parseGenerateOptions({ ...settings, prompt: [] });
  const { ids } = await conversationPrompt(partner, checked, maxNewTokens, "chat");
  yield* partner.generate({ ...settings, signal, prompt: ids });
}
