/** Errors in the format that OpenAI's clients read: https://platform.openai.com/docs/guides/error-codes/api-errors */
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { HttpError } from "../http/http-error.ts";
import { failureOf, jsonAnswer } from "../http/json.ts";

/** Types of errors: the values of the field `type`. */
type ErrorType = "invalid_request_error" | "authentication_error" | "rate_limit_error" | "server_error";

/** Details of an error. The message is not one of them. */
export interface ApiErrorDetails {
  /** Name of the request field with the mistake. */
  readonly param?: string | undefined;
  /** Error code for programs. */
  readonly code?: string | undefined;
  /** Number of seconds after which the client may try again. */
  readonly retryAfter?: number | undefined;
  /** The method that the address accepts. */
  readonly allow?: string | undefined;
}

/** An error with an HTTP status. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly details: ApiErrorDetails;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** A mistake in the request (status 400). */
export const invalid = (message: string, param?: string, code?: string): ApiError =>
  new ApiError(400, message, { param, code });

const typeOf = (status: number): ErrorType => {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
};

/**
 * Adds a status and details to any error. An error of the library is a mistake in the request, unless the model is
 * damaged. Any other error is a fault of the server.
 */
export const apiErrorOf = (error: unknown): ApiError => {
  if (error instanceof ApiError) return error;
  const { error: message, field } = failureOf(error);
  if (error instanceof HttpError) return new ApiError(error.status, message, { param: error.field });
  const isMistake = error instanceof ForetokenError && !(error instanceof CheckpointError);
  return new ApiError(isMistake ? 400 : 500, message, isMistake ? { param: field } : {});
};

/** The JSON body of a response with an error. */
export const errorBody = (error: ApiError) => ({
  error: {
    message: error.message,
    type: typeOf(error.status),
    param: error.details.param ?? null,
    code: error.details.code ?? null,
  },
});

export type ErrorBody = ReturnType<typeof errorBody>;

/** The response to a request that failed. */
export const errorAnswer = (error: unknown): Response => {
  const known = apiErrorOf(error);
  const answer = jsonAnswer(errorBody(known), known.status);
  const { retryAfter, allow } = known.details;
  if (retryAfter !== undefined) answer.headers.set("Retry-After", String(retryAfter));
  if (allow !== undefined) answer.headers.set("Allow", allow);
  if (known.status === 401) answer.headers.set("WWW-Authenticate", "Bearer");
  return answer;
};
