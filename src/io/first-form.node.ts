/**
 * Support for old runs, for example test/fixtures/run-a9ede5f. The checkpoints of old runs have no manifest. Old runs
 * can still be read and resumed. All code that only old runs need is in this file.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { manifestName } from "./manifest.ts";

/**
 * Adds the field `keepLast` to a parsed `run.json` of an old run. The value of `keepLast` is 1, because old runs kept
 * only the last checkpoint.
 */
export const completeDescription = (json: unknown): unknown =>
  isRecord(json) && json.keepLast === undefined ? { ...json, keepLast: 1 } : json;

/**
 * Whether an evaluation was made because the run was stopped. Only old runs have such evaluations. They are ignored.
 */
export const isEvalAtStop = (reason: unknown): boolean => reason === "interrupted";

/**
 * Whether a `config.json` has the section that only Foretoken writes. If true, Foretoken also wrote the other files in
 * the folder, even if there is no manifest.
 */
export const isOwnConfig = (text: string): boolean => {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) && isRecord(json.foretoken) && typeof json.foretoken.formatVersion === "number";
  } catch {
    return false;
  }
};

/** Whether a checkpoint's folder exists and has no manifest. */
export const hasNoManifest = (checkpoint: string): boolean =>
  existsSync(checkpoint) && !existsSync(join(checkpoint, manifestName));
