/** A request on its way to its answer: what those who answer it need, and what they tell of it. */
import type { ServerResponse } from "node:http";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { apiErrorOf, type ErrorBody, errorBody, invalid } from "./api-error.ts";
import { type EventWriter, openEvents } from "./event-writer.ts";
import type { Lease, ServedModels } from "./served-models.ts";
import { type TextPiece, type TextRequest, writeTexts } from "./texts.ts";

/** What is told of a request for the log and the metrics. */
export interface ExchangeFacts {
  model?: string;
  promptTokens: number;
  newTokens: number;
  /** From the request's beginning. */
  firstTokenMs?: number;
  error?: string;
}

/** See the head of the file. */
export interface Exchange {
  /** A number for people, that the answer carries. */
  readonly id: string;
  /** performance.now() at its beginning. */
  readonly began: number;
  /** Is aborted when the client has gone, its time is over, or the server ends. */
  readonly signal: AbortSignal;
  readonly response: ServerResponse;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly models: ServedModels;
  readonly facts: ExchangeFacts;
  /** Is told of tokens as they are written. */
  wrote(tokens: number): void;
}

/** An answer in JSON, or its stream was written. */
export type Answered = { readonly json: unknown } | "streamed";

/** Seconds since 1970, as answers have them. */
export const now = (): number => Math.floor(Date.now() / 1000);

/** @throws ApiError for a prompt that does not fit. */
export const checkPrompt = ({ lm }: Lease, ids: ArrayLike<number>, param: string): void => {
  const { contextLength } = lm.config;
  const { vocabSize } = lm.tokenizer;
  if (ids.length === 0) throw invalid(`${param}: must have at least one token; got an empty one`, param);
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

/** Texts of a request that may wait in the engine, so that a place that is free is taken at once. */
const begunAhead = 2;

const longestTokens = new WeakMap<Tokenizer, number>();

/** Bytes of the longest token. */
const longestToken = (tokenizer: Tokenizer): number => {
  const known = longestTokens.get(tokenizer);
  if (known !== undefined) return known;
  let longest = 1;
  for (let id = 0; id < tokenizer.vocabSize; id++) longest = Math.max(longest, tokenizer.bytes(id).length);
  longestTokens.set(tokenizer, longest);
  return longest;
};

/** Bytes of a text that is encoded, at most: encoding takes about a second for them, in which nothing else is done. */
const mostBytes = 2 ** 20;

/**
 * Fails for a text that is sure to have more tokens than the context, before it is encoded.
 * @throws ApiError
 */
export const checkLength = ({ lm }: Lease, text: string, param: string): void => {
  const bytes = Buffer.byteLength(text);
  const { contextLength } = lm.config;
  const most = Math.min(mostBytes, contextLength * longestToken(lm.tokenizer));
  if (bytes <= most) return;
  throw invalid(
    `${param}: must fit into the context of ${contextLength} tokens, so it must have at most ${most} bytes; got ${bytes}`,
    param,
    "context_length_exceeded",
  );
};

/** Writes texts with a model, and notes what they cost. */
export async function* writePieces(
  { signal, facts, began, wrote }: Exchange,
  { engine, parallel }: Lease,
  requests: readonly TextRequest[],
): AsyncGenerator<TextPiece, void, undefined> {
  for await (const piece of writeTexts(engine, requests, parallel + begunAhead, signal)) {
    if (piece.tokens.length > 0) facts.firstTokenMs ??= performance.now() - began;
    facts.newTokens += piece.tokens.length;
    wrote(piece.tokens.length);
    // Its reader has gone, or its time is over: what is there is not the text.
    if (piece.end?.reason === "aborted") signal.throwIfAborted();
    yield piece;
  }
}

/** The events of a stream and its end. An error on the way is its last event. */
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
    facts.error = known.message;
    const { event, data } = failed(errorBody(known));
    if (!response.destroyed)
      events.end(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }
  return "streamed";
};
