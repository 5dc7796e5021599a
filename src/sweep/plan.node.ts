/** The settings of a sweep, planned before any is trained. */
import type { RunConfig } from "../config/config.ts";
import { merge, type PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";
import { ConfigError, ForetokenError } from "../core/errors/errors.ts";
import type { PlanOptions } from "../train/plan.node.ts";
import { planInWorker } from "../worker/plan.node.ts";
import type { SweepRunning } from "./run-part.node.ts";
import { checkPlan } from "./schedule.ts";
import { type ParsedSweep, type SweepSetting, seedsOf, stopOf } from "./sweep-config.ts";

/** A setting, with what follows from the text. */
export interface PlannedSetting extends SweepSetting {
  readonly steps: number;
  readonly evalInterval: number;
}

/** The configuration of a run. */
export const configOf = ({ config }: Pick<SweepSetting, "config">, seed: number): PartialConfig<RunConfig> =>
  merge({ train: { sampleTokens: 0 } }, merge(config, { train: { seed } })) as PartialConfig<RunConfig>;

/**
 * Plans each setting, so that a mistake in the last one is found before the first one is trained.
 * @param texts those that train and choose, or their places.
 * @throws as `train` does for a setting that it refuses, but for its memory; ConfigError for stages or a budget that cannot work.
 */
export const planSettings = async (
  settings: readonly SweepSetting[],
  texts: Pick<PlanOptions, "text" | "valText" | "data" | "valData">,
  sweep: ParsedSweep,
  preset: PresetName | undefined,
  { backend, threads, signal }: SweepRunning,
): Promise<readonly PlannedSetting[]> => {
  const seeds = seedsOf(sweep);
  const planned: PlannedSetting[] = [];
  for (const [i, setting] of settings.entries()) {
    signal?.throwIfAborted();
    try {
      const { config } = await planInWorker({
        ...texts,
        ...{ preset, backend, threads, out: null, finalSampleTokens: 0 },
        config: configOf(setting, seeds[0] as number),
      });
      const { steps, evalInterval } = config.train;
      planned.push({ ...setting, steps, evalInterval });
    } catch (error) {
      if (!(error instanceof ForetokenError)) throw error;
      const where = `setting ${i + 1} (${setting.name}): ${error.details.where.replace(/^config\./u, "")}`;
      throw new ConfigError({ ...error.details, where, cause: error });
    }
  }
  checkPlan({ settings: planned, seeds: seeds.length, stop: stopOf(sweep), budget: sweep.budget });
  return planned;
};
