/** Errors of the library in the words of a request. */
import { ConfigError, ForetokenError } from "../../../core/errors/errors.ts";

/**
 * An error of a function, as "patched: clean" or "lensOf.top", with the request's field in its place.
 * @param names of fields whose names in the request differ.
 */
export const inRequest = (error: unknown, names: Readonly<Record<string, string>> = {}): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { where } = error.details;
  const [, rest = ""] = /^(?:attentionOf|lensOf|neighboursOf|patched|withoutHeads)(?:: |\.|$)(.*)$/su.exec(where) ?? [
    undefined,
    where,
  ];
  const [name = "", ...path] = rest.split(".");
  const renamed = [names[name] ?? name, ...path].join(".");
  return new ConfigError({ ...error.details, where: renamed === "" ? "request" : renamed, cause: error });
};
