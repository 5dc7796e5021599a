import { oneLine, shorten } from "../text/one-line.ts";

/**
 * Every user error has the same three facts: the condition, the value, a hint. The CLI prints the one-line message and
 * exits 2; an error that is not a `ForetokenError` is a bug of ours and exits 1.
 */
export interface ErrorDetails {
  /** The thing that was checked: an op, a file, an option. */
  readonly where: string;
  /** The argument or option of the called function that `where` names, as "heads.0.layer". Absent: no single one. */
  readonly field?: string;
  /** The invariant, as "nEmbd must be divisible by nHead". */
  readonly must: string;
  /** The value, as "100 and 12". */
  readonly got?: string;
  /** A hint, as "96 or 108". */
  readonly hint?: string;
  /** Of a text with characters that a tokenizer lacks: each of them once, in the order of the text. */
  readonly characters?: readonly string[];
  /** Other faults of the same value, the first 20: the message is about the first fault alone. */
  readonly others?: readonly ErrorDetails[];
  readonly cause?: unknown;
}

/** Most UTF-16 units of a message: with the name of the program before it, an error line has at most 300. */
export const longestMessage = 280;

/** The largest number of units per part with which all fit into `room`: only the longest parts are cut. */
const fairShare = (parts: readonly string[], room: number): number => {
  let share = longestMessage;
  while (share > 1 && parts.reduce((sum, { length }) => sum + Math.min(length, share), 0) > room) share--;
  return share;
};

/** A hint stays whole up to so many units, since it may be a command to copy; and the units that the others need. */
const longestHint = 140;
const leastForOthers = 80;

/**
 * The message: one line of at most `longestMessage` units, without control characters. If it is too long, the parts from
 * the user lose their middles; the condition stays whole.
 */
const sentence = ({ where, must, got, hint }: ErrorDetails): string => {
  const say = (subject: string, instead: string, way: string): string =>
    `${subject}: ${oneLine(must)}${got === undefined ? "" : `; got ${instead}`}${hint === undefined ? "" : `; try ${way}`}`;
  // Shortened before as well as after: a part may be a whole file.
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

/** Base of all errors for a user's mistake: *where: what must hold; got …; try …*. */
export abstract class ForetokenError extends Error {
  /** The class's name, as a literal: a minifier renames classes. */
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
/** An element type where another is required. */
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
