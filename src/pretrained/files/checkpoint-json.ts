import type { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { type JsonLimits, jsonLimits, parseJson as parse } from "../../core/checks/json.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";

/** Version of the section "foretoken" in `config.json`; a newer one is refused. */
export const formatVersion = 1;

/** JSON as a checkpoint has it: indented, with a newline at the end. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Parses a JSON file of a checkpoint or a run.
 * @param limits of its kind.
 * @throws CheckpointError for a file that is too large, no JSON, or nested too deep.
 */
export const parseJson = (bytes: Uint8Array, where: string, limits: JsonLimits = jsonLimits.config): unknown =>
  parse(bytes, limits, (fault) => new CheckpointError({ where, ...fault }));

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
