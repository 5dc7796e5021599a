import type { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { type JsonLimits, jsonLimits, parseJson as parse } from "../../core/checks/json.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";

/** Version of the section "foretoken" in `config.json`. A newer version is refused. */
export const formatVersion = 1;

/** JSON text of a checkpoint file: indented, with a newline at the end. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Parses a JSON file of a checkpoint or a run.
 * @param limits maximum size and nesting depth for this kind of file.
 * @throws CheckpointError for a file that is too large, nested too deeply or not JSON.
 */
export const parseJson = (bytes: Uint8Array, where: string, limits: JsonLimits = jsonLimits.config): unknown =>
  parse(bytes, limits, (fault) => new CheckpointError({ where, ...fault }));

/** Checks a checkpoint's JSON against a schema. @throws CheckpointError naming the field. */
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

/** @throws CheckpointError for a checkpoint of a newer version of Foretoken. */
export const checkFormatVersion = (version: number, where: string): void => {
  if (version > formatVersion) {
    throw new CheckpointError({
      where,
      must: `the format version must be ${formatVersion} or less`,
      got: String(version),
      hint: "a newer version of foretoken",
    });
  }
};
