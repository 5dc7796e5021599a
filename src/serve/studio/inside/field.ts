/** Errors of the library in the words of a request. */
import { ConfigError, ForetokenError } from "../../../core/errors/errors.ts";

/**
 * An error of a function of the library about one of its arguments: the request's field is named in place of the argument.
 * Other errors stay as they are.
 * @param names of fields whose names in the request differ.
 */
export const inRequest = (error: unknown, names: Readonly<Record<string, string>> = {}): unknown => {
  if (!(error instanceof ForetokenError) || error.details.field === undefined) return error;
  const [argument = "", ...path] = error.details.field.split(".");
  const field = [names[argument] ?? argument, ...path].join(".");
  return new ConfigError({ ...error.details, where: field, field, cause: error });
};
