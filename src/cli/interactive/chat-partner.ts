/** Answers in a conversation: from a model in this process, or from a server with OpenAI's protocol. */
import { z } from "zod";
import { type ChatModel, conversationPrompt } from "../../chat/conversation.node.ts";
import type { ToolMessage } from "../../chat/tools/tools.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, DataError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import type { Settings } from "./settings.ts";

/** Request for an answer. */
export interface AnswerRequest {
  /** The conversation. The last message is from the user. */
  readonly messages: readonly ToolMessage[];
  readonly settings: Settings;
  readonly seed: number;
  /** Minimum number of oldest messages to leave out, because they did not fit before. */
  readonly atLeast: number;
  readonly signal: AbortSignal;
}

/** An answer that is being generated. */
export interface PartnersAnswer {
  readonly events: AsyncIterable<GenerateEvent>;
  /** Number of oldest messages that were left out. Valid after the last event. */
  dropped(): number;
  /**
   * The answer as a message. Valid after the last event. If this field is absent, the text of the last event is the
   * message.
   */
  message?(): ToolMessage | undefined;
}

/** Answers messages of a conversation. */
export interface ChatPartner {
  answer(request: AnswerRequest): Promise<PartnersAnswer>;
}

/** @param where the model's path, for errors. */
export const modelPartner = (lm: ChatModel, where: string): ChatPartner => ({
  async answer({ messages, settings, seed, atLeast, signal }) {
    const { ids, dropped } = await conversationPrompt(lm, messages, settings.maxNewTokens, where, { atLeast });
    return {
      dropped: () => dropped,
      events: lm.generate({ ...settings, unknown: "error", seed, prompt: ids, signal }),
    };
  },
});

/** A server, and the id of the model on this server. */
export interface ServerModel {
  /** Base URL of the protocol, such as `http://127.0.0.1:8000/v1`. */
  readonly url: string;
  readonly model: string;
  readonly key: string | undefined;
}

const headersFor = (key: string | undefined): Record<string, string> => ({
  "Content-Type": "application/json",
  ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
});

/** Maximum bytes of a JSON answer, and of one event of a stream. */
const mostBytes = 2 ** 20;
/** Timeout in milliseconds. If no data arrives for this time, the request is cancelled. */
const silenceMs = 300_000;

/** Error for an answer that breaks the protocol. */
const strange = (where: string, got: string, cause?: unknown): DataError =>
  new DataError({ where, must: "the server must follow OpenAI's protocol", got: shorten(oneLine(got), 280), cause });

/** Yields the bytes of an answer as they arrive. @throws DataError if the server sends nothing for `silenceMs`. */
async function* bytesOf(
  where: string,
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(strange(where, `nothing for ${silenceMs / 1000} s`)), silenceMs);
      });
      const { value, done } = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Reads an answer that is not a stream. @throws DataError if it is too long or not JSON. */
const jsonOf = async (where: string, response: Response): Promise<unknown> => {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of bytesOf(where, response.body)) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > mostBytes) throw strange(where, `more than ${mostBytes} bytes`);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw strange(where, text === "" ? "an empty answer" : `not JSON: ${text.slice(0, 60)}`, cause);
  }
};

/** The error message in a server's answer, as one line. Undefined if the answer has no error message. */
const errorLine = (body: unknown): string | undefined => {
  const error = isRecord(body) ? body.error : undefined;
  if (error === undefined || error === null) return undefined;
  const message = isRecord(error) ? error.message : error;
  return shorten(oneLine(typeof message === "string" ? message : JSON.stringify(error)), 280);
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
  const line = errorLine(await jsonOf(url, response).catch(() => undefined));
  const got = `status ${response.status}${line === undefined ? "" : `: ${line}`}`;
  const hint = response.status === 401 ? "--api-key" : undefined;
  throw new ConfigError({
    where: url,
    must: "the server must accept the request",
    got,
    ...(hint === undefined ? {} : { hint }),
  });
};

/**
 * Finds the base URL and the model: the named model, or the server's only model.
 * @throws ConfigError if the server does not answer, or if no model is named and the server does not have exactly one
 * model.
 */
export const findServerModel = async (
  address: string,
  asked: string | undefined,
  key: string | undefined,
): Promise<ServerModel> => {
  const { origin, pathname } = new URL(address);
  const url = `${origin}${/^\/*$/u.test(pathname) ? "/v1" : pathname.replace(/\/+$/u, "")}`;
  if (asked !== undefined) return { url, model: asked, key };
  const list = await jsonOf(`${url}/models`, await ask(`${url}/models`, key));
  const data = isRecord(list) && Array.isArray(list.data) ? list.data : [];
  const names = data.flatMap((one) => (isRecord(one) && typeof one.id === "string" ? [one.id] : []));
  const [model, ...others] = names;
  if (model !== undefined && others.length === 0) return { url, model, key };
  throw new ConfigError({
    where: address,
    must: "the server must have exactly one model, or --model must name one",
    got: names.length === 0 ? "none" : shorten(names.join(", "), 280),
    hint: `--model ${model ?? "ID"}`,
  });
};

/** Data of one event. Undefined if the event has no data. */
const dataOf = (event: string): string | undefined => {
  const lines = event.split(/\r\n|\r|\n/u).filter((line) => line.startsWith("data:"));
  return lines.length === 0 ? undefined : lines.map((line) => line.slice("data:".length).replace(/^ /u, "")).join("\n");
};

/** Yields the data of each server-sent event: https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function* eventsOf(where: string, response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of bytesOf(where, response.body)) {
    const from = Math.max(0, text.length - 3);
    text += decoder.decode(piece, { stream: true });
    // The earlier text contained no end of an event, so only the new part is searched.
    if (/(?:\r\n|\r|\n)(?:\r\n|\r|\n)/u.test(text.slice(from))) {
      const events = text.split(/(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r(?!\n)|\n)/u);
      text = events.pop() ?? "";
      for (const event of events) {
        const data = dataOf(event);
        if (data !== undefined) yield data;
      }
    }
    if (text.length > mostBytes) throw strange(where, `an event of more than ${mostBytes} bytes`);
  }
  // Some servers omit the last line end.
  const data = dataOf(text);
  if (data !== undefined) yield data;
}

/** The request's body. Settings that are not in OpenAI's protocol are sent only if they have an effect. */
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

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

/** Parses a chunk of an answer. @throws DataError for an invalid chunk, or an error from the server. */
const chunkOf = (where: string, data: string): z.output<typeof chunkSchema> => {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw strange(where, `an event that is not JSON: ${data.slice(0, 60)}`, cause);
  }
  const line = errorLine(value);
  if (line !== undefined) throw new DataError({ where, must: "the server must finish the answer", got: line });
  const read = chunkSchema.safeParse(value);
  if (!read.success) throw strange(where, `an event with an unexpected structure: ${data.slice(0, 60)}`);
  return read.data;
};

const reasonOf = (where: string, reason: string): "length" | "endOfText" => {
  if (reason === "length") return "length";
  if (reason === "stop") return "endOfText";
  throw new DataError({
    where,
    must: "the server must finish the answer",
    got: `finish_reason ${reason.slice(0, 40)}`,
  });
};

async function* answerEvents(
  server: ServerModel,
  request: AnswerRequest,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { signal, settings } = request;
  const where = server.url;
  let text = "";
  let index = 0;
  let reason: "length" | "endOfText" | undefined;
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  try {
    const init = { method: "POST", body: JSON.stringify(bodyOf(server, request)), signal };
    const response = await ask(`${where}/chat/completions`, server.key, init);
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream"))
      throw strange(where, `content type ${type === "" ? "none" : type} instead of text/event-stream`);
    for await (const data of eventsOf(where, response)) {
      if (data === "[DONE]") break;
      const chunk = chunkOf(where, data);
      const [choice] = chunk.choices ?? [];
      const added = choice?.delta?.content ?? "";
      if (choice?.finish_reason != null) reason = reasonOf(where, choice.finish_reason);
      if (chunk.usage != null) usage = chunk.usage;
      if (added === "") continue;
      text += added;
      // A piece of text can be shorter than a token, so there may be more pieces than tokens.
      if (index > 8 * settings.maxNewTokens + 64)
        throw strange(where, "much more text than the requested number of tokens");
      // The protocol has no token ids.
      yield { v: 1, type: "token", index: index++, id: -1, text: added };
    }
    if (reason === undefined) throw strange(where, "an answer without a finish_reason");
  } catch (error) {
    if (!signal.aborted) {
      // An error of another class is from fetch: the connection was lost.
      throw error instanceof ForetokenError
        ? error
        : strange(where, error instanceof Error ? error.message : String(error), error);
    }
  }
  const counts = { promptTokens: usage.prompt_tokens, newTokens: usage.completion_tokens || index };
  const finishReason = signal.aborted ? "aborted" : (reason ?? "aborted");
  yield { v: 1, type: "done", task: "generate", finishReason, text, ...counts };
}

export const serverPartner = (server: ServerModel): ChatPartner => ({
  answer: async (request) => ({ dropped: () => 0, events: answerEvents(server, request) }),
});
