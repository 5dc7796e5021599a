/** A request in progress, with the parts that the endpoints need and the facts that they record. */
import type { ServerResponse } from "node:http";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type ApiError, apiErrorOf, type ErrorBody, errorBody, invalid } from "./api-error.ts";
import { type EventWriter, openEvents } from "./event-writer.ts";
import type { Lease, ServedModels } from "./served-models.ts";
import { type TextPiece, type TextRequest, writeTexts } from "./texts.ts";

/** Facts about a request for the log and the metrics. */
export interface ExchangeFacts {
  model?: string;
  promptTokens: number;
  newTokens: number;
  /** Milliseconds from the beginning of the request to the first token. */
  firstTokenMs?: number;
  error?: ApiError;
}

/** A request in progress. */
export interface Exchange {
  /** Id of the request. The response contains this id. */
  readonly id: string;
  /** performance.now() when the request began. */
  readonly began: number;
  /**
   * The signal is aborted when the client disconnects, when the time limit is reached, or when the server shuts down.
   */
  readonly signal: AbortSignal;
  readonly response: ServerResponse;
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>;
  readonly models: ServedModels;
  readonly facts: ExchangeFacts;
  /** Call this function each time tokens were written, with the number of tokens. */
  wrote(tokens: number): void;
}

/** Result of an endpoint: JSON to send, or "streamed" if the response was already streamed. */
export type Answered = { readonly json: unknown } | "streamed";

/** Seconds since 1970. */
export const now = (): number => Math.floor(Date.now() / 1000);

/** @throws ApiError for a prompt that is empty, too long, or has ids outside the vocabulary. */
export const checkPrompt = ({ lm }: Lease, ids: ArrayLike<number>, param: string): void => {
  const { contextLength } = lm.config;
  const { vocabSize } = lm.tokenizer;
  if (ids.length === 0) throw invalid(`${param}: must have at least one token; got none`, param);
  if (ids.length > contextLength) {
    throw invalid(
      `${param}: must be at most ${contextLength} tokens, the model's context; got ${ids.length}`,
      param,
      "context_length_exceeded",
    );
  }
  for (let i = 0; i < ids.length; i++) {
    if ((ids[i] as number) >= vocabSize)
      throw invalid(`${param}: token ids must be below ${vocabSize}; got ${ids[i]}`, param);
  }
};

/**
 * Number of a request's further texts that wait in the engine. So the engine can start the next text at once when it
 * has a free slot.
 */
const begunAhead = 2;

const longestTokens = new WeakMap<Tokenizer, number>();

/** Length in bytes of the longest token. */
const longestToken = (tokenizer: Tokenizer): number => {
  const known = longestTokens.get(tokenizer);
  if (known !== undefined) return known;
  let longest = 1;
  for (let id = 0; id < tokenizer.vocabSize; id++) longest = Math.max(longest, tokenizer.bytes(id).length);
  longestTokens.set(tokenizer, longest);
  return longest;
};

/**
 * Maximum number of bytes of a text to encode. Encoding this number of bytes takes about a second and blocks all other
 * work.
 */
const mostBytes = 2 ** 20;

/**
 * Refuses a text before it is encoded, if the text is certainly longer than the context.
 * @throws ApiError
 */
export const checkLength = ({ lm }: Lease, text: string, param: string): void => {
  const bytes = Buffer.byteLength(text);
  const { contextLength } = lm.config;
  const most = Math.min(mostBytes, contextLength * longestToken(lm.tokenizer));
  if (bytes <= most) return;
  throw invalid(
    `${param}: must fit into the context of ${contextLength} tokens, so the text must have at most ${most} bytes; got ${bytes}`,
    param,
    "context_length_exceeded",
  );
};

/** Writes texts with a model and records tokens and times. */
export async function* writePieces(
  { signal, facts, began, wrote }: Exchange,
  { engine, parallel }: Lease,
  requests: readonly TextRequest[],
): AsyncGenerator<TextPiece, void, undefined> {
  for await (const piece of writeTexts(engine, requests, parallel + begunAhead, signal)) {
    if (piece.tokens.length > 0) facts.firstTokenMs ??= performance.now() - began;
    facts.newTokens += piece.tokens.length;
    wrote(piece.tokens.length);
    // After an abort, the text is incomplete, so throw the reason of the abort.
    if (piece.end?.reason === "aborted") signal.throwIfAborted();
    yield piece;
  }
}

/** Streams events and ends the stream. If `write` fails, the last event is the error. */
export const stream = async (
  { response, headers, signal, facts }: Exchange,
  write: (events: EventWriter) => Promise<void>,
  done: string,
  failed: (body: ErrorBody) => { readonly event?: string; readonly data: unknown } = (data) => ({ data }),
): Promise<"streamed"> => {
  const events = openEvents(response, headers, signal);
  try {
    await write(events);
    events.end(done);
  } catch (error) {
    const known = apiErrorOf(error);
    facts.error = known;
    const { event, data } = failed(errorBody(known));
    if (!response.destroyed)
      events.end(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }
  return "streamed";
};
