import type { z } from "zod";
import { parseConfig } from "../core/config.ts";
import { CheckpointError, ForetokenError } from "../core/errors.ts";

/** Version of what `config.json` says under "foretoken"; a newer one is refused. */
export const formatVersion = 1;

/** JSON as it stands in a checkpoint: indented, with a newline at the end. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Parses a checkpoint's JSON file. @throws CheckpointError for what is no JSON. */
export const parseJson = (bytes: Uint8Array, where: string): unknown => {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where, must: "the file must be JSON", got, cause });
  }
};

/** Checks JSON of a checkpoint against a schema. @throws CheckpointError naming the field. */
export const checkJson = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
): z.output<Schema> => {
  try {
    return parseConfig(schema, value, where);
  } catch (error) {
    throw error instanceof ForetokenError ? new CheckpointError({ ...error.details, cause: error }) : error;
  }
};

/** Fails for a checkpoint of a later Foretoken. */
export const checkFormatVersion = (version: number, where: string): void => {
  if (version > formatVersion) {
    throw new CheckpointError({
      where,
      must: `the format version must be ${formatVersion} or less`,
      got: String(version),
      hint: "a newer foretoken",
    });
  }
};
