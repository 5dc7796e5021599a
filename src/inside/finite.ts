import { ConfigError } from "../core/errors/errors.ts";
import { firstNotFinite } from "../core/tensors/finite.ts";

/** @throws ConfigError for results of a model whose weights are not numbers, or too large. */
export const checkFinite = (where: string, what: string, values: ArrayLike<number>): void => {
  const place = firstNotFinite(values);
  if (place === -1) return;
  throw new ConfigError({
    where,
    must: `${what} must be finite`,
    got: String(values[place]),
    hint: "a model whose training went well",
  });
};
