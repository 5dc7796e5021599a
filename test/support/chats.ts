import { writeFile } from "node:fs/promises";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { freshModel } from "#foretoken/models/model.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { hashInteger } from "./hash.ts";
import { smallGroupedRun } from "./runs.ts";

/** All characters of the conversations below and of the template. */
export const chatCharacters = [..." !.?<>|_\nabcdefghijklmnopqrstuvwxyzHISW"];
export const chatTokenizer = charTokenizer(chatCharacters, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]);

/** The ChatML format. */
export const chatMl =
  "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

export const chatContext = 96;

/** Writes a tiny model that has a chat template. */
export const writeChatModel = async (directory: string, tokenizer: Tokenizer = chatTokenizer): Promise<void> => {
  const backend = await openReference();
  const { model: config } = resolveConfig("shakespeare", [smallGroupedRun, { model: { contextLength: chatContext } }]);
  const model = freshModel(backend, { ...config, dropout: 0 }, tokenizer.vocabSize, 1);
  const chatTemplate = { template: chatMl, bosToken: "", eosToken: "<|endoftext|>" };
  const endTokens = tokenizer.specialTokens.slice(2).map(({ id }) => id);
  const lm = languageModel(model, tokenizer, undefined, { chatTemplate, endTokens });
  await savePretrained(directory, lm);
  await lm.close();
  await backend.close();
};

/** Conversations of one to three turns. */
export const chats = (count: number): readonly { readonly messages: readonly { role: string; content: string }[] }[] =>
  Array.from({ length: count }, (_, i) => ({
    messages: Array.from({ length: 1 + hashInteger("turns", i, 2) }, (_, turn) => [
      { role: "user", content: ["who?", "why", "Is it so", "Hi"][hashInteger(`user ${turn}`, i, 4)] ?? "" },
      { role: "assistant", content: ["me.", "so be it", "yes", "no. no"][hashInteger(`answer ${turn}`, i, 4)] ?? "" },
    ]).flat(),
  }));

export const writeChats = async (path: string, count: number): Promise<string> => {
  await writeFile(
    path,
    chats(count)
      .map((one) => `${JSON.stringify(one)}\n`)
      .join(""),
  );
  return path;
};
