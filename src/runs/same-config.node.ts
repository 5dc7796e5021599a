/** When two configurations are those of one run. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../config/config.ts";
import { earlierConfigs } from "../config/extend.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import type { Binding } from "../io/manifest.ts";
import { defaultTokenizer } from "../tokenizer/config.ts";
import { folderNames } from "./folder-names.ts";

/**
 * A configuration as JSON without the one field that a resumption may change, and without the default tokenizer, which
 * a configuration may leave out.
 */
export const fixedConfig = (config: unknown): string => {
  if (!isRecord(config) || !isRecord(config.train)) return JSON.stringify(config);
  const { tokenizer, train, ...others } = config;
  const isDefault = JSON.stringify(tokenizer) === JSON.stringify(defaultTokenizer);
  return JSON.stringify({
    ...(isDefault ? {} : { tokenizer }),
    ...others,
    train: { ...train, onNonfinite: undefined },
  });
};

/** SHA-256 of a configuration: a checkpoint's manifest identifies its run by it. */
export const configHash = (config: unknown): string => createHash("sha256").update(fixedConfig(config)).digest("hex");

/** Whether two configurations are those of one run. */
export const isSame = (one: unknown, other: unknown): boolean => fixedConfig(one) === fixedConfig(other);

/**
 * Whether files are of `step` of the run that has `config`, as it has come there: a run that went back and was given another
 * number of steps has come to each later step in two ways.
 */
export const isOfPlan = (run: Binding | null, step: number, config: RunConfig): boolean => {
  const configs = [config, ...earlierConfigs(config).flatMap((one) => (step <= one.until ? [one.config] : []))];
  return run?.step === step && configs.some((one) => configHash(one) === run.config);
};

/** @throws CheckpointError for a configuration other than the description's. */
export const checkSame = (where: string, one: unknown, description: unknown): void => {
  if (isSame(one, description)) return;
  throw new CheckpointError({
    where,
    must: `the checkpoint's config must be that of ${folderNames.description}`,
    got: "another one",
    hint: "undoing the change",
  });
};
