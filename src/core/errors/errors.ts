import { oneLine, shorten } from "../text/one-line.ts";

/**
 * Contents of a user error: the condition, the value, a hint. The CLI prints them as one line and exits with status 2.
 * An error that is not a `ForetokenError` is a bug in Foretoken, and the CLI exits with status 1.
 */
export interface ErrorDetails {
  /** What was checked: an op, a file, an option. */
  readonly where: string;
  /**
   * The argument or option of the function that `where` names, for example "heads.0.layer". Absent if `where` does not
   * name a single argument.
   */
  readonly field?: string;
  /** The condition that must hold, for example "nEmbd must be divisible by nHead". */
  readonly must: string;
  /** The value that was given instead, for example "100 and 12". */
  readonly got?: string;
  /** A hint what to try, for example "96 or 108". */
  readonly hint?: string;
  /** Characters of a text that a tokenizer lacks. Each character occurs once, in text order. */
  readonly characters?: readonly string[];
  /** Further errors in the same value, at most 20. The message reports only the first error. */
  readonly others?: readonly ErrorDetails[];
  readonly cause?: unknown;
}

/**
 * Maximum number of UTF-16 units of a message. With the name of the program before the message, an error line has at
 * most 300 units.
 */
export const longestMessage = 280;

/** Returns the largest maximum length per part with which all parts fit into `room`. Only the longest parts are cut. */
const fairShare = (parts: readonly string[], room: number): number => {
  let share = longestMessage;
  while (share > 1 && parts.reduce((sum, { length }) => sum + Math.min(length, share), 0) > room) share--;
  return share;
};

/**
 * A hint of at most this length is not cut, because it may be a command that the user copies. `leastForOthers` is the
 * minimum length for the other parts.
 */
const longestHint = 140;
const leastForOthers = 80;

/**
 * Builds the message: one line of at most `longestMessage` units, without control characters. If the message is too
 * long, parts that come from the user are cut in the middle. The condition is not cut.
 */
const sentence = ({ where, must, got, hint }: ErrorDetails): string => {
  const say = (subject: string, instead: string, way: string): string =>
    `${subject}: ${oneLine(must)}${got === undefined ? "" : `; got ${instead}`}${hint === undefined ? "" : `; try ${way}`}`;
  // A part is shortened before it is escaped, because it may be a whole file. The escaped part is shortened again.
  const parts = [where, got ?? ""].map((part) => oneLine(shorten(part, longestMessage)));
  const others = Math.min(
    leastForOthers,
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  const room = Math.max(1, longestMessage - say("", "", "").length - others);
  const way = shorten(oneLine(shorten(hint ?? "", longestMessage)), Math.min(longestHint, room));
  const share = fairShare(parts, longestMessage - say("", "", way).length);
  const [subject = "", instead = ""] = parts.map((part) => shorten(part, share));
  return shorten(say(subject, instead, way), longestMessage);
};

/** Base class of all errors for a user's mistake: *where: what must hold; got …; try …*. */
export abstract class ForetokenError extends Error {
  /** The class name is a literal, because minifiers rename classes. */
  abstract override readonly name: string;
  declare readonly details: ErrorDetails;

  constructor(details: ErrorDetails) {
    super(sentence(details), details.cause === undefined ? undefined : { cause: details.cause });
    // Node prints the enumerable fields of an uncaught error. These details repeat the message, and the cause with its
    // stack, so they are not enumerable.
    Object.defineProperty(this, "details", { value: details });
  }
}

/** Sizes or offsets that do not fit together. */
export class ShapeError extends ForetokenError {
  override readonly name = "ShapeError";
}
/** A wrong element type. */
export class DTypeError extends ForetokenError {
  override readonly name = "DTypeError";
}
/** An invalid value of an option or configuration field. */
export class ConfigError extends ForetokenError {
  override readonly name = "ConfigError";
}
/** Unusable text or tokens: missing, empty, not UTF-8, too short, or with an unknown character. */
export class DataError extends ForetokenError {
  override readonly name = "DataError";
}
/** A checkpoint or run folder that is missing or damaged, or has another shape. */
export class CheckpointError extends ForetokenError {
  override readonly name = "CheckpointError";
}
/** A backend or kernel that is not available on this machine or in this build. */
export class UnsupportedKernelError extends ForetokenError {
  override readonly name = "UnsupportedKernelError";
}
