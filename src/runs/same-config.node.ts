/** Hashes configurations: a checkpoint's manifest identifies its run by this hash. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../config/config.ts";
import { earlierConfigs } from "../config/extend.ts";
import type { Binding } from "../io/manifest.ts";
import { fixedConfig } from "./same-config.ts";

/** SHA-256 of a configuration. The manifests of checkpoints contain this hash. */
export const configHash = (config: unknown): string => createHash("sha256").update(fixedConfig(config)).digest("hex");

/**
 * Whether files belong to `step` of the run with `config`. The step alone is not enough. A run that went back and got
 * another number of steps can have two different checkpoints of the same step.
 */
export const isOfPlan = (run: Binding | null, step: number, config: RunConfig): boolean => {
  const configs = [config, ...earlierConfigs(config).flatMap((one) => (step <= one.until ? [one.config] : []))];
  return run?.step === step && configs.some((one) => configHash(one) === run.config);
};
