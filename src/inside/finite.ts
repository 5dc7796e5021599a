import { ConfigError } from "../core/errors/errors.ts";
import { firstNotFinite } from "../core/tensors/finite.ts";

/** @throws ConfigError if results of a model are NaN or infinite, because its weights are damaged or too large. */
export const checkFinite = (where: string, what: string, values: ArrayLike<number>): void => {
  const place = firstNotFinite(values);
  if (place === -1) return;
  throw new ConfigError({
    where,
    must: `${what} must be finite`,
    got: String(values[place]),
    hint: "another checkpoint, because this checkpoint is damaged or its training diverged",
  });
};
