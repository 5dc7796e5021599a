/** JSON requests and answers, and errors as answers. */
import type { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { type JsonLimits, parseJson } from "../../core/checks/json.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";

export type FailureStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 500;

/** An error that has its status. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: FailureStatus;
  /** The field of the request that it is about. */
  readonly field: string | undefined;

  constructor(status: FailureStatus, message: string, field?: string) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

const noStore = { "Cache-Control": "no-store" } as const;

/** An answer whose JSON is there already. */
export const jsonTextAnswer = (text: string, status = 200): Response =>
  new Response(text, {
    status,
    headers: { ...noStore, "Content-Type": "application/json; charset=utf-8" },
  });

/** An answer in JSON. */
export const jsonAnswer = (value: unknown, status = 200): Response => jsonTextAnswer(JSON.stringify(value), status);

/** A field of a configuration or of a request, as "train.steps"; undefined where it is about all of it. */
const fieldOf = ({ details: { where } }: ForetokenError): string | undefined => {
  if (where === "request" || where === "config") return undefined;
  const field = where.replace(/^(?:config|request)\./u, "").replace(/^initFrom .*$/su, "initFrom");
  return /^[a-z][A-Za-z]*(?:\.[A-Za-z0-9]+)*$/u.test(field) ? field : undefined;
};

/** What an error says, for a page. */
export interface FailureText {
  readonly error: string;
  readonly field?: string;
  readonly characters?: readonly string[];
}

/** Most unknown characters that are named: a text in another script may have thousands. */
const mostCharacters = 500;

export const failureOf = (error: unknown): FailureText => {
  if (!(error instanceof ForetokenError)) {
    const line = oneLine(shorten(error instanceof Error ? error.message : String(error), 280));
    const field = error instanceof HttpError ? error.field : undefined;
    return { error: line, ...(field === undefined ? {} : { field }) };
  }
  const field = fieldOf(error);
  const { characters = [] } = error.details;
  return {
    error: error.message,
    ...(field === undefined ? {} : { field }),
    ...(characters.length === 0 ? {} : { characters: characters.slice(0, mostCharacters) }),
  };
};

const statusOf = (error: unknown): FailureStatus => {
  if (error instanceof HttpError) return error.status;
  return error instanceof ForetokenError ? 400 : 500;
};

/** The answer to a request that failed. */
export const failureAnswer = (error: unknown): Response => jsonAnswer(failureOf(error), statusOf(error));

const tooLarge = (most: number): HttpError =>
  new HttpError(413, `the request must have at most ${most} bytes; got more; try a smaller text, or one of a folder`);

/** A body of at most `most` bytes; more are not read. */
const readBody = async (request: Request, most: number): Promise<Uint8Array> => {
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge(most);
  const reader = request.body?.getReader();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const piece = (await reader?.read())?.value;
    if (piece === undefined) return Buffer.concat(pieces);
    bytes += piece.length;
    if (bytes > most) {
      await reader?.cancel();
      throw tooLarge(most);
    }
    pieces.push(piece);
  }
};

/**
 * The body of a request, checked.
 * @throws ConfigError naming the field that is wrong, HttpError for too many bytes.
 */
export const readJson = async <Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  limits: JsonLimits,
): Promise<z.output<Schema>> => {
  const bytes = await readBody(request, limits.maxBytes);
  const named = { ...limits, what: "the request" };
  const value = parseJson(bytes, named, (fault) => new ConfigError({ where: "request", ...fault }));
  return parseConfig(schema, value, "request");
};
