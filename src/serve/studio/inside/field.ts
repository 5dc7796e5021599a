/** Changes errors of the library so that they name fields of the request. */
import { ConfigError, ForetokenError } from "../../../core/errors/errors.ts";

/**
 * If an error is about an argument of a library function, it is changed so that it names the field of the request.
 * Other errors stay as they are.
 * @param names for each argument whose request field has another name: that name.
 */
export const inRequest = (error: unknown, names: Readonly<Record<string, string>> = {}): unknown => {
  if (!(error instanceof ForetokenError) || error.details.field === undefined) return error;
  const [argument = "", ...path] = error.details.field.split(".");
  const field = [names[argument] ?? argument, ...path].join(".");
  return new ConfigError({ ...error.details, where: field, field, cause: error });
};
