/** Plans a sweep's settings before any setting is trained. */
import type { RunConfig } from "../config/config.ts";
import { merge, type PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";
import { ConfigError, ForetokenError } from "../core/errors/errors.ts";
import type { PlanOptions } from "../train/plan.node.ts";
import { planInWorker } from "../worker/plan.node.ts";
import type { SweepRunning } from "./run-part.node.ts";
import { checkPlan } from "./schedule.ts";
import { type ParsedSweep, type SweepSetting, seedsOf, stopOf } from "./sweep-config.ts";

/** A setting, with values that are derived from the text. */
export interface PlannedSetting extends SweepSetting {
  readonly steps: number;
  readonly evalInterval: number;
}

/** Configuration of one run. */
export const configOf = ({ config }: Pick<SweepSetting, "config">, seed: number): PartialConfig<RunConfig> =>
  merge({ train: { sampleTokens: 0 } }, merge(config, { train: { seed } })) as PartialConfig<RunConfig>;

/**
 * Plans each setting, so that a mistake in any setting is found before training begins.
 * @param texts the text for training and the text for choosing, or their paths.
 * @throws like `train` for an invalid setting, but does not check memory; ConfigError for impossible stages or an
 * impossible budget.
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
        teacher: sweep.teacher,
        config: configOf(setting, seeds[0] as number),
      });
      const { steps, evalInterval, average } = config.train;
      if (average !== undefined) {
        throw new ConfigError({
          where: "train.average",
          must: "must be left out, because a sweep compares the weights of runs and not their averages",
          got: average.kind,
          hint: "train --average with the winner",
        });
      }
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
