import { ConfigError, ForetokenError } from "../core/errors.ts";

const options = ["data", "valData", "valFraction", "out", "resume", "stopAt", "threads", "preset", "split"];
const option = `(?:${options.join("|")})`;
/** At the beginning only: what follows may be a path. */
const inWhere = new RegExp(`^${option}(?= |$)(?: and ${option}$)?`, "u");
/** What else goes wrong is called by its path, which may be any word. */
const resumed = /^resume(?= )/u;
/** Fields of a config, and options whose names are no words of a sentence; not where they are a part of a flag or a path. */
const inHint = /(?<![\w./-])(?:(?:model|train)\.[A-Za-z.]*[A-Za-z]|valData|valFraction|stopAt|resume(?= \S))/gu;

const flag = (name: string): string =>
  name.includes(".") ? `--${name}` : `--${name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;

/** An error of the library in the words of the command line: its options are called by their flags. */
export const inFlags = (error: unknown): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { where, hint, ...rest } = error.details;
  const names = error instanceof ConfigError ? inWhere : resumed;
  return new ConfigError({
    ...rest,
    where: where.replace(names, (found) => found.split(" and ").map(flag).join(" and ")),
    ...(hint === undefined ? {} : { hint: hint.replace(inHint, flag) }),
    cause: error,
  });
};
