/**
 * Encodes and decodes texts, and describes a tokenizer. The paths are the same as in vLLM, because evaluation tools
 * expect these paths.
 */

import { z } from "zod";
import { beginOf, withBegin } from "../../tokenizer/begin.ts";
import { encodeWithSpecials } from "../../tokenizer/special.ts";
import { invalid } from "./api-error.ts";
import { promptText } from "./api-text.ts";
import { conversationTokens } from "./chat-completions.ts";
import { whole } from "./common-fields.ts";
import type { Answered, Exchange } from "./exchange.ts";
import { honoured, readFields } from "./fields.ts";
import { chatMessages } from "./messages.ts";
import type { Lease } from "./served-models.ts";

const model = honoured(z.string({ error: "must be a string" }), "default: the first model of the server");

export const tokenizeFields = {
  model,
  prompt: honoured(promptText, "a text; names of special tokens in the text become special tokens"),
  messages: honoured(chatMessages, "a conversation, instead of `prompt`"),
  add_special_tokens: honoured(
    z.boolean(),
    "both values give the same tokens, because the server's models add no special tokens",
  ),
  add_generation_prompt: honoured(
    z.literal(true, { error: "must be true" }),
    "the tokens include the beginning of the assistant's answer",
  ),
} as const;

export const detokenizeFields = {
  model,
  tokens: honoured(z.array(whole(0)), "token ids"),
} as const;

const withModel = async (
  exchange: Exchange,
  name: string | undefined,
  work: (lease: Lease) => Promise<unknown>,
): Promise<Answered> => {
  const lease = exchange.models.take(name, 0);
  try {
    exchange.facts.model = lease.name;
    return { json: await work(lease) };
  } finally {
    lease.release();
  }
};

/** Maximum number of bytes of a text. Encoding this number of bytes takes about a second and blocks all other work. */
const mostBytes = 2 ** 20;

const checkText = (prompt: string): void => {
  const bytes = Buffer.byteLength(prompt);
  if (bytes > mostBytes) throw invalid(`prompt: must have at most ${mostBytes} bytes; got ${bytes}`, "prompt");
};

export const answerTokenize = (exchange: Exchange, body: unknown): Promise<Answered> => {
  const { model: name, prompt, messages } = readFields(tokenizeFields, body);
  if ((prompt === undefined) === (messages === undefined))
    throw invalid("prompt: either prompt or messages must be given; got both or none", "prompt");
  return withModel(exchange, name, async (lease) => {
    const { lm } = lease;
    if (prompt !== undefined) checkText(prompt);
    const tokens =
      messages === undefined
        ? Array.from(withBegin(lm.tokenizer, encodeWithSpecials(lm.tokenizer, prompt ?? "")))
        : await conversationTokens(exchange, lease, messages, [], "messages");
    return { count: tokens.length, max_model_len: lm.config.contextLength, tokens };
  });
};

export const answerDetokenize = (exchange: Exchange, body: unknown): Promise<Answered> => {
  const { model: name, tokens } = readFields(detokenizeFields, body);
  if (tokens === undefined) throw invalid("tokens: must be given; got none", "tokens");
  return withModel(exchange, name, async ({ lm: { tokenizer } }) => {
    const wrong = tokens.find((id) => id >= tokenizer.vocabSize);
    if (wrong !== undefined) throw invalid(`tokens: must be below ${tokenizer.vocabSize}; got ${wrong}`, "tokens");
    return { prompt: tokenizer.decode(tokens, { showSpecialTokens: true }) };
  });
};

/** Describes the tokenizer of a model. */
export const answerTokenizerInfo = (exchange: Exchange, name: string | undefined): Promise<Answered> =>
  withModel(exchange, name, async ({ lm }) => {
    const { tokenizer, chatTemplate, endTokens } = lm;
    const [endToken] = endTokens;
    const end = endToken === undefined ? null : tokenizer.token(endToken);
    const begin = beginOf(tokenizer);
    const given = (text: string | undefined): string | null => (text === undefined || text === "" ? null : text);
    return {
      tokenizer_class: tokenizer.kind,
      vocab_size: tokenizer.vocabSize,
      model_max_length: lm.config.contextLength,
      bos_token: given(chatTemplate?.bosToken) ?? (begin === undefined ? null : tokenizer.token(begin)),
      eos_token: given(chatTemplate?.eosToken) ?? end,
      pad_token: end,
      chat_template: chatTemplate?.template ?? null,
    };
  });
