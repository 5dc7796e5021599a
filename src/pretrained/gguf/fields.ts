/** Reads fields of a GGUF file's metadata, with type checks. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { GgufMetadata } from "../../io/gguf/header.ts";
import type { Fields } from "../../models/architectures/common/gguf-values.ts";

const isList = (value: unknown): value is ArrayLike<unknown> => Array.isArray(value) || ArrayBuffer.isView(value);

/**
 * Returns the common value of a list if all its items are equal, and otherwise the list. A value that is not a list is
 * returned unchanged.
 */
const sameOf = (value: unknown): unknown => {
  if (!isList(value)) return value;
  const items = Array.from(value);
  return items.length > 0 && items.every((item) => item === items[0]) ? items[0] : items;
};

/** Functions that read the fields of a file's metadata. @param where the file, for errors. */
export const fieldsOf = (metadata: GgufMetadata, where: string): Fields => {
  const fail = (key: string, must: string, got: unknown): never => {
    throw new CheckpointError({ where: `${where}: ${key}`, must, got: show(got) });
  };
  const whole = (key: string, value: unknown, least: number): number | undefined => {
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
    return fail(key, `must be a whole number from ${least}${isList(value) ? ", equal in all layers" : ""}`, value);
  };
  return {
    fail,
    count: (key) => whole(key, sameOf(metadata.get(key)), 1),
    id: (key) => whole(key, metadata.get(key), 0),
    real: (key) => {
      const value = metadata.get(key);
      if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
      return fail(key, "must be a finite number", value);
    },
    text: (key) => {
      const value = metadata.get(key);
      return value === undefined || typeof value === "string" ? value : fail(key, "must be a string", value);
    },
    flags: (key) => {
      const value = metadata.get(key);
      return isList(value) ? Array.from(value, (item) => item === true || item === 1) : undefined;
    },
    flag: (key) => {
      const value = metadata.get(key);
      return value === undefined || typeof value === "boolean" ? value : fail(key, "must be a boolean", value);
    },
  };
};
