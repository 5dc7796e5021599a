/**
 * Runs in their first form, before checkpoints had manifests; test/fixtures/run-a9ede5f is one. They are read and go on. Here is
 * all that is done for them alone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { manifestName } from "./manifest.ts";

/** `run.json`, with the field that the first form lacks: it kept the last checkpoint alone. */
export const completeDescription = (json: unknown): unknown =>
  isRecord(json) && json.keepLast === undefined ? { ...json, keepLast: 1 } : json;

/** Whether an evaluation was made where the run was stopped. It counts nowhere: now runs are not measured there. */
export const isEvalAtStop = (reason: unknown): boolean => reason === "interrupted";

/** Whether a `config.json` has the section that no other program writes: what is beside it is ours, without a manifest. */
export const isOwnConfig = (text: string): boolean => {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) && isRecord(json.foretoken) && typeof json.foretoken.formatVersion === "number";
  } catch {
    return false;
  }
};

/** Whether a checkpoint's folder is there without a manifest. */
export const hasNoManifest = (checkpoint: string): boolean =>
  existsSync(checkpoint) && !existsSync(join(checkpoint, manifestName));
