import {
  CheckpointError,
  ConfigError,
  DataError,
  DTypeError,
  type ErrorDetails,
  ForetokenError,
  ShapeError,
  UnsupportedKernelError,
} from "../errors/errors.ts";
import { systemErrorCode } from "../errors/system-error.ts";
import { show } from "../text/show.ts";

/**
 * An error in a form that can be sent between threads. A structured clone would lose the class and the fields of the
 * error.
 */
export interface ErrorMessage {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Fields of a system error. */
  readonly code: string | undefined;
  readonly syscall: string | undefined;
  /** Fields of a `ForetokenError`, except its cause. */
  readonly details: Omit<ErrorDetails, "cause"> | undefined;
  readonly cause: ErrorMessage | undefined;
}

const classes = { ShapeError, DTypeError, ConfigError, DataError, CheckpointError, UnsupportedKernelError };

/** Maximum number of nested causes that are sent. */
const deepest = 4;

const describe = (error: unknown, depth = 0): ErrorMessage => {
  if (!(error instanceof Error)) {
    const message = typeof error === "string" ? error : show(error);
    const none = { stack: undefined, code: undefined, syscall: undefined, details: undefined, cause: undefined };
    return { name: "Error", message, ...none };
  }
  const { name, message, stack, cause } = error;
  const { cause: _, ...details } = error instanceof ForetokenError ? error.details : { cause: undefined };
  return {
    ...{ name, message, stack, code: systemErrorCode(error) },
    syscall: "syscall" in error && typeof error.syscall === "string" ? error.syscall : undefined,
    details: error instanceof ForetokenError ? (details as Omit<ErrorDetails, "cause">) : undefined,
    cause: cause === undefined || depth >= deepest ? undefined : describe(cause, depth + 1),
  };
};

/** Converts an error for sending. The conversion must never fail, or the other thread would wait forever. */
export const messageOfError = (error: unknown): ErrorMessage => {
  try {
    return structuredClone(describe(error));
  } catch {
    return describe("an error that cannot be sent to another thread");
  }
};

/** Rebuilds a received error with its original stack. Errors of Foretoken get their class again. */
export const errorOfMessage = ({ name, message, stack, code, syscall, details, cause: sent }: ErrorMessage): Error => {
  const cause = sent === undefined ? undefined : errorOfMessage(sent);
  const Class = Object.hasOwn(classes, name) ? classes[name as keyof typeof classes] : undefined;
  const error =
    Class !== undefined && details !== undefined
      ? new Class({ ...details, ...(cause === undefined ? {} : { cause }) })
      : Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { name });
  if (stack !== undefined) error.stack = stack;
  return Object.assign(error, code === undefined ? {} : { code }, syscall === undefined ? {} : { syscall });
};
