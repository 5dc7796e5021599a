import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";

const options = [
  "data",
  "valData",
  "valFraction",
  "out",
  "resume",
  "stopAt",
  "threads",
  "preset",
  "split",
  "steps",
  "extend",
  "teacher",
];
/** An option and its flag, if their names differ. */
const renamed = /^keepBlocks$/u;
const option = `(?:${options.join("|")})`;
/**
 * Option names at the beginning of an error. Names later in the error are not replaced, because that part may contain a
 * path.
 */
const inWhere = new RegExp(`^${option}(?= |$)(?: and ${option}$)?`, "u");
/**
 * In errors other than ConfigError, only these names are replaced. Such an error may begin with a path, and a path can
 * contain any word.
 */
const resumed = /^(?:resume|initFrom|teacher)(?= )/u;
/** A configuration field that only the run can check: its range depends on the text or the weights. */
const inConfig = /^config\.(?=(?:model|tokenizer|train)\.|lora(?:$|\.))/u;
/** Configuration fields and option names that are not part of a flag or a path. */
const inHint =
  /(?<![\w./-])(?:(?:model|train)\.[A-Za-z.]*[A-Za-z]|valData|valFraction|stopAt|initFrom|teacher(?= [A-Z])|resume(?= \S)|steps(?= \d))/gu;

const flag = (name: string): string =>
  name.includes(".") ? `--${name}` : `--${name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;

/** The hint for characters that the model lacks, in commands without `--unknown`. */
export const unknownHint = ['unknown: "skip"', "a text without this character"] as const;

/**
 * Rewrites an error of the library for the command line: option names become flags.
 * @param ownHints parts of hints, and what this command says instead.
 */
export const inFlags = (error: unknown, ownHints: readonly (readonly [string, string])[] = []): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { where, hint, ...rest } = error.details;
  const names = error instanceof ConfigError ? inWhere : resumed;
  return new ConfigError({
    ...rest,
    where: where
      .replace(renamed, "--widen")
      .replace(names, (found) => found.split(" and ").map(flag).join(" and "))
      .replace(inConfig, "--"),
    ...(hint === undefined
      ? {}
      : {
          hint: ownHints
            .reduce((text, [from, to]) => text.replace(from, to), hint)
            .replace('unknown: "skip"', "--unknown skip")
            .replace("replace: true", "--overwrite")
            .replace(inHint, flag),
        }),
    cause: error,
  });
};
