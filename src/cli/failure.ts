import type { Command, CommanderError } from "commander";
import { ConfigError, ForetokenError } from "../core/errors/errors.ts";
import { oneLine, shorten } from "../core/text/one-line.ts";
import { exitStatus } from "./process/exit-status.ts";
import { writeNotice } from "./process/output.ts";

/**
 * Turns commander's error into an error with the program's usual wording; returns undefined if commander only printed
 * help or the version.
 * @param words the command line.
 */
export const commandLineError = async (
  error: CommanderError,
  command: Command,
  words: readonly string[],
): Promise<ForetokenError | undefined> => {
  if (error.exitCode === 0) return undefined;
  const where = command.parent === null ? "command line" : command.name();
  const help = command.parent === null ? "npx foretoken --help" : `npx foretoken ${command.name()} --help`;
  const quoted = /'(.*)'/su.exec(error.message)?.[1] ?? "";
  switch (error.code) {
    case "commander.unknownOption": {
      const [flag = ""] = quoted.split("=");
      // Loaded only for this error, so that correct commands start faster.
      const { unknownFlagError } = await import("./suggestions/suggest.ts");
      return unknownFlagError(where, flag, words, command);
    }
    case "commander.optionMissingArgument":
      return new ConfigError({ where: quoted.split(" ")[0] ?? where, must: "must have a value", got: "nothing" });
    case "commander.missingArgument":
      return new ConfigError({ where, must: `<${quoted}> must be given`, got: "nothing", hint: help });
    default:
      return new ConfigError({ where, must: error.message.replace(/^error: /u, ""), hint: help });
  }
};

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && "syscall" in error && "code" in error;

/** Whether the JavaScript engine threw this error because an array is too large for the engine or the memory. */
const isOutOfMemory = (error: unknown): error is RangeError =>
  error instanceof RangeError && /array (buffer allocation failed|length)/iu.test(error.message);

/** Whether a module is missing: a module of this program or of a dependency. */
const isMissingModule = (error: unknown): error is Error =>
  error instanceof Error && Reflect.get(error, "code") === "ERR_MODULE_NOT_FOUND";

const told = (error: unknown): unknown => {
  if (isOutOfMemory(error)) {
    return new ConfigError({
      where: "memory",
      must: "must be enough for the model and a batch",
      got: error.message,
      hint: "a smaller batch, context or model",
      cause: error,
    });
  }
  if (!isMissingModule(error)) return error;
  const [, path = error.message] = /'([^']+)'/u.exec(error.message) ?? [];
  return new ConfigError({
    where: "installation",
    must: "every file of foretoken must be there",
    got: `no ${path}`,
    hint: "installing foretoken again",
    cause: error,
  });
};

/** Maximum number of UTF-16 units in an error line. */
const longestLine = 300;

/** Joins `before`, the message and `after` into one line. A message that is too long is shortened in its middle. */
const errorLine = (before: string, message: string, after: string): string => {
  // Shorten the text before escaping, because escaping a long text takes time. Shorten it again afterwards, because
  // escaping makes it longer.
  const line = oneLine(shorten(message, longestLine));
  return `${before}${shorten(line, longestLine - before.length - after.length)}${after}`;
};

/**
 * Prints the error as one line on standard error (with `verbose`, also the stack) and returns the exit status.
 * @param who name of the failing process at the start of the line, if several processes run.
 */
export const reportFailure = (thrown: unknown, verbose: boolean, who = ""): number => {
  const error = told(thrown);
  const message = error instanceof Error ? error.message : String(error);
  // System errors, such as a full disk or a missing permission, are not bugs of the program.
  const mistake = error instanceof ForetokenError || isSystemError(error);
  writeNotice(
    mistake
      ? errorLine(`foretoken: ${who}`, message, "")
      : errorLine(`foretoken: ${who}a bug: `, message, "; please report it with the output of --verbose"),
  );
  if (verbose && error instanceof Error) for (const line of (error.stack ?? "").split("\n")) writeNotice(line);
  return mistake ? exitStatus.mistake : exitStatus.bug;
};
