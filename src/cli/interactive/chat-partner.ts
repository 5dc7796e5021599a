/** Who answers in a conversation: a model of this process, or one of a server that speaks OpenAI's protocol. */
import { type ChatModel, conversationPrompt } from "../../chat/conversation.node.ts";
import type { ChatMessage } from "../../chat/messages.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, DataError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import type { Settings } from "./settings.ts";

/** An answer that is asked for. */
export interface AnswerRequest {
  /** The conversation so far; the last message is the user's. */
  readonly messages: readonly ChatMessage[];
  readonly settings: Settings;
  readonly seed: number;
  /** Messages that are left out in any case: those that did not fit before. */
  readonly atLeast: number;
  readonly signal: AbortSignal;
}

/** See the head of the file. */
export interface ChatPartner {
  /** The events of an answer, and how many of the oldest messages were left out. */
  answer(request: AnswerRequest): Promise<{ readonly dropped: number; readonly events: AsyncIterable<GenerateEvent> }>;
}

/** @param where the model's path, for errors. */
export const modelPartner = (lm: ChatModel, where: string): ChatPartner => ({
  async answer({ messages, settings, seed, atLeast, signal }) {
    const { ids, dropped } = await conversationPrompt(lm, messages, settings.maxNewTokens, where, { atLeast });
    return { dropped, events: lm.generate({ ...settings, unknown: "error", seed, prompt: ids, signal }) };
  },
});

/** A server, and the model to talk with. */
export interface ServerModel {
  /** Where its protocol is: `http://127.0.0.1:8000/v1`. */
  readonly url: string;
  readonly model: string;
  readonly key: string | undefined;
}

const headersFor = (key: string | undefined): Record<string, string> => ({
  "Content-Type": "application/json",
  ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
});

/** What a server says of an error, in one line. */
const errorLine = (body: unknown): string | undefined => {
  const error = isRecord(body) ? body.error : undefined;
  const message = isRecord(error) ? error.message : error;
  return typeof message === "string" ? shorten(oneLine(message), 280) : undefined;
};

const ask = async (url: string, key: string | undefined, init: RequestInit = {}): Promise<Response> => {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: headersFor(key) });
  } catch (cause) {
    if (init.signal?.aborted === true) throw cause;
    const inner = cause instanceof Error ? cause.cause : undefined;
    const got = systemErrorCode(inner) ?? (cause instanceof Error ? cause.message : String(cause));
    throw new ConfigError({ where: url, must: "a server must answer at this address", got, cause });
  }
  if (response.ok) return response;
  const line = errorLine(await response.json().catch(() => undefined));
  const got = `status ${response.status}${line === undefined ? "" : `: ${line}`}`;
  const hint = response.status === 401 ? "--api-key" : undefined;
  throw new ConfigError({ where: url, must: "the server must answer", got, ...(hint === undefined ? {} : { hint }) });
};

/**
 * The address of the protocol, and the model: the one that is named, or the only one of the server.
 * @throws ConfigError for a server that does not answer, or has several models.
 */
export const findServerModel = async (
  address: string,
  asked: string | undefined,
  key: string | undefined,
): Promise<ServerModel> => {
  const { origin, pathname } = new URL(address);
  const url = `${origin}${/^\/*$/u.test(pathname) ? "/v1" : pathname.replace(/\/+$/u, "")}`;
  if (asked !== undefined) return { url, model: asked, key };
  const list: unknown = await (await ask(`${url}/models`, key)).json().catch(() => undefined);
  const data = isRecord(list) && Array.isArray(list.data) ? list.data : [];
  const names = data.flatMap((one) => (isRecord(one) && typeof one.id === "string" ? [one.id] : []));
  const [model, ...others] = names;
  if (model !== undefined && others.length === 0) return { url, model, key };
  throw new ConfigError({
    where: address,
    must: "the server must have one model, or --model must name one",
    got: names.length === 0 ? "none" : shorten(names.join(", "), 280),
    hint: `--model ${model ?? "ID"}`,
  });
};

/** The data of the events of a stream. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const events = text.split(/\r?\n\r?\n/u);
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event
          .split(/\r?\n/u)
          .flatMap((line) => (line.startsWith("data:") ? [line.slice("data:".length).trimStart()] : []));
        if (data.length > 0) yield data.join("\n");
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The settings as the protocol has them; those that OpenAI does not have only where they change something. */
const bodyOf = ({ model }: ServerModel, { messages, settings, seed }: AnswerRequest): object => {
  const { temperature, topP, topK, minP, typicalP, maxNewTokens, stop } = settings;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = settings;
  return {
    ...{ model, messages, seed, temperature, top_p: topP, max_tokens: maxNewTokens },
    ...{ stream: true, stream_options: { include_usage: true } },
    ...(stop.length > 0 ? { stop } : {}),
    ...(presencePenalty === 0 ? {} : { presence_penalty: presencePenalty }),
    ...(frequencyPenalty === 0 ? {} : { frequency_penalty: frequencyPenalty }),
    ...(topK === 0 ? {} : { top_k: topK }),
    ...(minP === 0 ? {} : { min_p: minP }),
    ...(typicalP === 1 ? {} : { typical_p: typicalP }),
    ...(repetitionPenalty === 1 ? {} : { repetition_penalty: repetitionPenalty }),
  };
};

/** Fields of a chunk that are told. */
interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

async function* answerEvents(
  server: ServerModel,
  request: AnswerRequest,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { signal } = request;
  let text = "";
  let index = 0;
  let reason: "length" | "endOfText" | "aborted" = "aborted";
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  try {
    const init = { method: "POST", body: JSON.stringify(bodyOf(server, request)), signal };
    const { body } = await ask(`${server.url}/chat/completions`, server.key, init);
    for await (const data of eventsOf(body as ReadableStream<Uint8Array>)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data) as Chunk;
      const line = errorLine(chunk);
      if (line !== undefined)
        throw new DataError({ where: server.url, must: "the answer must come to its end", got: line });
      const [choice] = chunk.choices ?? [];
      const added = choice?.delta?.content ?? "";
      if (choice?.finish_reason != null) reason = choice.finish_reason === "length" ? "length" : "endOfText";
      if (chunk.usage != null) usage = chunk.usage;
      if (added === "") continue;
      text += added;
      // A server tells no ids.
      yield { v: 1, type: "token", index: index++, id: -1, text: added };
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (reason === "aborted" && !signal.aborted) {
    throw new DataError({
      where: server.url,
      must: "the answer must come to its end",
      got: "a connection that was lost",
    });
  }
  const counts = { promptTokens: usage.prompt_tokens, newTokens: usage.completion_tokens || index };
  yield { v: 1, type: "done", task: "generate", finishReason: signal.aborted ? "aborted" : reason, text, ...counts };
}

export const serverPartner = (server: ServerModel): ChatPartner => ({
  answer: async (request) => ({ dropped: 0, events: answerEvents(server, request) }),
});
