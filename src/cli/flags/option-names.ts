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
];
/** Options that a flag of another name sets. */
const renamed = /^keepBlocks$/u;
const option = `(?:${options.join("|")})`;
/** At the beginning only: the rest may be a path. */
const inWhere = new RegExp(`^${option}(?= |$)(?: and ${option}$)?`, "u");
/** Other errors begin with a path, which may be any word. */
const resumed = /^(?:resume|initFrom)(?= )/u;
/** A field of the configuration that is checked in the run alone, since it depends on the text or on weights. */
const inConfig = /^config\.(?=(?:model|tokenizer|train)\.|lora(?:$|\.))/u;
/** Config fields, and options with names that are not words; not as part of a flag or a path. */
const inHint =
  /(?<![\w./-])(?:(?:model|train)\.[A-Za-z.]*[A-Za-z]|valData|valFraction|stopAt|initFrom|resume(?= \S)|steps(?= \d))/gu;

const flag = (name: string): string =>
  name.includes(".") ? `--${name}` : `--${name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;

/** An error of the library in the words of the command line: flags instead of options. */
export const inFlags = (error: unknown): unknown => {
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
          hint: hint
            .replace('unknown: "skip"', "--unknown skip")
            .replace("replace: true", "--overwrite")
            .replace(inHint, flag),
        }),
    cause: error,
  });
};
