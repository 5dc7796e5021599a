/** Changes errors of the library so that they name fields of the request. */
import { ConfigError, ForetokenError } from "../../../core/errors/errors.ts";

/**
 * Changes an error about an argument of a library function: the changed error names the field of the request. Other
 * errors stay unchanged.
 * @param names the names of request fields that differ from the name of their argument, by argument.
 */
export const inRequest = (error: unknown, names: Readonly<Record<string, string>> = {}): unknown => {
  if (!(error instanceof ForetokenError) || error.details.field === undefined) return error;
  const [argument = "", ...path] = error.details.field.split(".");
  const field = [names[argument] ?? argument, ...path].join(".");
  return new ConfigError({ ...error.details, where: field, field, cause: error });
};
