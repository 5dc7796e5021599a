/** A run's description, `run.json`: its configuration and its data. */
import { z } from "zod";
import type { RunConfig } from "../config/config.ts";
import { checkFormatVersion, checkJson, formatVersion, jsonText } from "../pretrained/files/checkpoint-json.ts";
import type { RunData } from "./run-schemas.ts";

/** Description of a run, as stored in its folder. */
export interface RunDescription {
  readonly config: RunConfig;
  readonly data: RunData;
  /** Number of checkpoints to keep, including the last checkpoint. */
  readonly keepLast: number;
}

const versioned = z.object({ formatVersion: z.int() });

/** Checks the JSON of a run. The version is checked first, because a later version may have unknown fields. */
export const checkVersioned = <Schema extends z.ZodType>(schema: Schema, json: unknown, where: string) => {
  const version = versioned.safeParse(json, { jitless: true });
  if (version.success) checkFormatVersion(version.data.formatVersion, where);
  return checkJson(schema, json, where);
};

/** The contents of `run.json`. */
export const descriptionText = ({ config, data, keepLast }: RunDescription): string =>
  jsonText({ formatVersion, config, data, keepLast });
