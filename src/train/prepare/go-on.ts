/** The plan of a run that goes on. */
import type { RunConfig } from "../../config/config.ts";
import { extendConfig } from "../../config/extend.ts";
import { longerSteps } from "../../config/longer-steps.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { ExtendKind } from "../../optim/config.ts";
import type { Progress } from "../../runs/progress.ts";
import { endOf } from "../../runs/resume/ended-run.ts";

/** Options of a resumed run that change its plan. */
export interface ChangedPlan {
  readonly steps?: number | undefined;
  readonly extend?: ExtendKind | undefined;
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
}

/** A run that has nothing left to do. */
export const hasEnded = (where: string, train: RunConfig["train"], end: "finished" | "patience"): ConfigError => {
  const { steps, patience } = train;
  return new ConfigError({
    where,
    ...(end === "finished"
      ? {
          must: "the run must have steps left",
          got: `all ${steps} done`,
          hint: `steps ${longerSteps(train, steps)} to train longer`,
        }
      : {
          must: "the run must not have ended of itself",
          got: `${patience} evaluations without a better loss (patience)`,
          hint: `steps ${steps} to go on all the same`,
        }),
  });
};

/** The configuration that a run goes on with after `progress`. */
export const configToGoOn = (
  described: RunConfig,
  progress: Progress,
  { steps, extend, onNonfinite = described.train.onNonfinite }: ChangedPlan,
): RunConfig => {
  const config = { ...described, train: { ...described.train, onNonfinite } };
  if (steps === undefined) return config;
  // As planned: there is nothing to change, unless the run has lost its patience.
  if (steps === config.train.steps && extend === undefined && endOf(progress, config.train) === null) return config;
  return extendConfig(config, progress.step, { steps, extend });
};
