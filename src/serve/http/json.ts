/** Reads requests in JSON, and writes responses and errors in JSON. */
import type { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { type JsonLimits, parseJson } from "../../core/checks/json.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import type { Bodies } from "./bodies.ts";
import { type FailureStatus, HttpError, SeveralErrors } from "./http-error.ts";

const noStore = { "Cache-Control": "no-store" } as const;

/** A response with JSON text that already exists. */
export const jsonTextAnswer = (text: string, status = 200): Response =>
  new Response(text, {
    status,
    headers: { ...noStore, "Content-Type": "application/json; charset=utf-8" },
  });

/** A response in JSON. */
export const jsonAnswer = (value: unknown, status = 200): Response => jsonTextAnswer(JSON.stringify(value), status);

/**
 * The field of a configuration or a request that caused an error, such as "train.steps". Undefined: the error does not
 * concern a single field.
 */
const fieldOf = ({ details: { where } }: ForetokenError): string | undefined => {
  if (where === "request" || where === "config") return undefined;
  // The name of a part of a constraint is its path inside the constraint.
  if (/^constraint[.:]/u.test(where)) return "constraint";
  const field = where.replace(/^(?:config|request)\./u, "").replace(/^initFrom .*$/su, "initFrom");
  return /^[a-z][A-Za-z]*(?:\.[A-Za-z0-9]+)*$/u.test(field) ? field : undefined;
};

/** An error in the format that the page reads. */
export interface FailureText {
  readonly error: string;
  readonly field?: string;
  readonly characters?: readonly string[];
  readonly others?: readonly FailureText[];
}

/**
 * Maximum number of unknown characters in the list. A text in another script may have thousands of unknown characters.
 */
const mostCharacters = 500;

/** Maximum number of errors that are listed after the first error. */
const mostOthers = 20;

/** The first of several errors, with all other errors attached. */
const together = (failures: readonly FailureText[]): FailureText => {
  const [first = { error: "" }, ...others] = failures.flatMap(({ others: more = [], ...alone }) => [alone, ...more]);
  return { ...first, others: others.slice(0, mostOthers) };
};

export const failureOf = (error: unknown): FailureText => {
  if (error instanceof SeveralErrors) return together(error.errors.map(failureOf));
  if (!(error instanceof ForetokenError)) {
    const line = oneLine(shorten(error instanceof Error ? error.message : String(error), 280));
    const field = error instanceof HttpError ? error.field : undefined;
    return { error: line, ...(field === undefined ? {} : { field }) };
  }
  const field = fieldOf(error);
  const { characters = [], others = [] } = error.details;
  return {
    error: error.message,
    ...(field === undefined ? {} : { field }),
    ...(characters.length === 0 ? {} : { characters: characters.slice(0, mostCharacters) }),
    ...(others.length === 0 ? {} : { others: others.map((details) => failureOf(new ConfigError(details))) }),
  };
};

const statusOf = (error: unknown): FailureStatus => {
  if (error instanceof SeveralErrors) return statusOf(error.errors[0]);
  if (error instanceof HttpError) return error.status;
  return error instanceof ForetokenError ? 400 : 500;
};

/** The response to a request that failed. */
export const failureAnswer = (error: unknown): Response => jsonAnswer(failureOf(error), statusOf(error));

/**
 * Reads and checks the body of a request.
 * @param bodies reads the bytes.
 * @throws ConfigError with the wrong field, and the HttpErrors of `bodies`.
 */
export const readJson = async <Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  limits: JsonLimits,
  bodies: Pick<Bodies, "read">,
): Promise<z.output<Schema>> => {
  const bytes = await bodies.read(request, limits.maxBytes);
  const named = { ...limits, what: "the request" };
  const value = parseJson(bytes, named, (fault) => new ConfigError({ where: "request", ...fault }));
  return parseConfig(schema, value, "request");
};
