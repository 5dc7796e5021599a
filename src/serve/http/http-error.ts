/** Errors that say with which status a request is answered. */

export type FailureStatus = 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 500 | 503;

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

/** Several things that are wrong with one request: it is answered with the status of the first. */
export class SeveralErrors extends Error {
  override readonly name = "SeveralErrors";
  readonly errors: readonly [unknown, ...unknown[]];

  constructor(errors: readonly [unknown, ...unknown[]]) {
    super(errors.map((error) => (error instanceof Error ? error.message : String(error))).join("; "));
    this.errors = errors;
  }
}
