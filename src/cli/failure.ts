import type { Command, CommanderError } from "commander";
import { ConfigError, ForetokenError } from "../core/errors/errors.ts";
import { oneLine, shorten } from "../core/text/one-line.ts";
import { exitStatus } from "./process/exit-status.ts";
import { writeNotice } from "./process/output.ts";

/**
 * Commander's error in the words of all other errors; undefined if it only printed help or a version.
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
      // Loaded when needed: help and every right command begin sooner without.
      const { unknownFlagError } = await import("./suggestions/suggest.ts");
      return unknownFlagError(where, flag, words, command);
    }
    case "commander.optionMissingArgument":
      return new ConfigError({ where: quoted.split(" ")[0] ?? where, must: "a value must follow", got: "nothing" });
    case "commander.missingArgument":
      return new ConfigError({ where, must: `<${quoted}> must be given`, got: "nothing", hint: help });
    default:
      return new ConfigError({ where, must: error.message.replace(/^error: /u, ""), hint: help });
  }
};

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && "syscall" in error && "code" in error;

/** The engine's message when an array is larger than it or the machine can hold. */
const isOutOfMemory = (error: unknown): error is RangeError =>
  error instanceof RangeError && /array (buffer allocation failed|length)/iu.test(error.message);

/** A module of this program, or of a library that it needs, which is not there. */
const isMissingModule = (error: unknown): error is Error =>
  error instanceof Error && Reflect.get(error, "code") === "ERR_MODULE_NOT_FOUND";

const told = (error: unknown): unknown => {
  if (isOutOfMemory(error)) {
    return new ConfigError({
      where: "memory",
      must: "must suffice for the model and a batch",
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
    hint: "to install it again",
    cause: error,
  });
};

/** Most UTF-16 units of an error line. */
const longestLine = 300;

/** `before`, the message and `after` in one line; if it is too long, the message loses its middle. */
const errorLine = (before: string, message: string, after: string): string => {
  // Shortened before as well as after: escaping takes time, and makes it longer.
  const line = oneLine(shorten(message, longestLine));
  return `${before}${shorten(line, longestLine - before.length - after.length)}${after}`;
};

/**
 * Prints the error on standard error, in one line (with `verbose` the stack after it); returns the exit status.
 * @param who begins the line, if several processes could have failed.
 */
export const reportFailure = (thrown: unknown, verbose: boolean, who = ""): number => {
  const error = told(thrown);
  const message = error instanceof Error ? error.message : String(error);
  // A full disk or a missing permission is not our fault.
  const mistake = error instanceof ForetokenError || isSystemError(error);
  writeNotice(
    mistake
      ? errorLine(`foretoken: ${who}`, message, "")
      : errorLine(`foretoken: ${who}a bug: `, message, "; please report it with what --verbose adds"),
  );
  if (verbose && error instanceof Error) for (const line of (error.stack ?? "").split("\n")) writeNotice(line);
  return mistake ? exitStatus.mistake : exitStatus.bug;
};
