/** Errors with the HTTP status of the response. */

export type FailureStatus = 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 500 | 503;

/** An error with an HTTP status. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: FailureStatus;
  /** Name of the request field with the mistake. */
  readonly field: string | undefined;

  constructor(status: FailureStatus, message: string, field?: string) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/** Several errors of one request. The response has the status of the first error. */
export class SeveralErrors extends Error {
  override readonly name = "SeveralErrors";
  readonly errors: readonly [unknown, ...unknown[]];

  constructor(errors: readonly [unknown, ...unknown[]]) {
    super(errors.map((error) => (error instanceof Error ? error.message : String(error))).join("; "));
    this.errors = errors;
  }
}
