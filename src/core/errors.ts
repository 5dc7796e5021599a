/**
 * Every error a user can cause carries the same three facts: what must hold, what came, what to try. The CLI prints
 * the one-line message and exits 2; anything that is not a `ForetokenError` is our own fault and exits 1.
 */
export interface ErrorDetails {
  /** What was being looked at: an op, a file, an option. */
  readonly where: string;
  /** The invariant, as "nEmbd must be divisible by nHead". */
  readonly must: string;
  /** What came instead, as "100 and 12". */
  readonly got?: string;
  /** A way out, as "96 or 108". */
  readonly hint?: string;
  readonly cause?: unknown;
}

const sentence = ({ where, must, got, hint }: ErrorDetails): string =>
  `${where}: ${must}${got === undefined ? "" : `; got ${got}`}${hint === undefined ? "" : `; try ${hint}`}`;

/** Base of all errors that name a user's mistake: *where: what must hold; got …; try …*. */
export abstract class ForetokenError extends Error {
  /** The class's own, in words of its own: a minifier renames classes. */
  abstract override readonly name: string;
  readonly details: ErrorDetails;

  constructor(details: ErrorDetails) {
    super(sentence(details), details.cause === undefined ? undefined : { cause: details.cause });
    this.details = details;
  }
}

/** Sizes or offsets that do not fit together. */
export class ShapeError extends ForetokenError {
  override readonly name = "ShapeError";
}
/** An element type where another is needed. */
export class DTypeError extends ForetokenError {
  override readonly name = "DTypeError";
}
/** An option or a config field with a value that cannot work. */
export class ConfigError extends ForetokenError {
  override readonly name = "ConfigError";
}
/** Text or tokens that cannot be used: missing, empty, not UTF-8, too short, an unknown character. */
export class DataError extends ForetokenError {
  override readonly name = "DataError";
}
/** A checkpoint or run folder that is missing, damaged, or of another shape. */
export class CheckpointError extends ForetokenError {
  override readonly name = "CheckpointError";
}
/** A backend or kernel that this machine or build lacks. */
export class UnsupportedKernelError extends ForetokenError {
  override readonly name = "UnsupportedKernelError";
}
