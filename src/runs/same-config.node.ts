/** Hashes of configurations: by them a checkpoint's manifest names its run. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../config/config.ts";
import { earlierConfigs } from "../config/extend.ts";
import type { Binding } from "../io/manifest.ts";
import { fixedConfig } from "./same-config.ts";

/** SHA-256 of a configuration: a checkpoint's manifest identifies its run by it. */
export const configHash = (config: unknown): string => createHash("sha256").update(fixedConfig(config)).digest("hex");

/**
 * Whether files are of `step` of the run that has `config`, as it has come there: a run that went back and was given another
 * number of steps has come to each later step in two ways.
 */
export const isOfPlan = (run: Binding | null, step: number, config: RunConfig): boolean => {
  const configs = [config, ...earlierConfigs(config).flatMap((one) => (step <= one.until ? [one.config] : []))];
  return run?.step === step && configs.some((one) => configHash(one) === run.config);
};
