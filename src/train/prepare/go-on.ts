/** Plans a run that is resumed. */
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

/** The error for a run that has no steps left. */
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
          must: "the run must not have stopped by itself",
          got: `${patience} evaluations without a better loss (patience)`,
          hint: `steps ${steps} to continue anyway`,
        }),
  });
};

/** The configuration with which a run continues after `progress`. */
export const configToGoOn = (
  described: RunConfig,
  progress: Progress,
  { steps, extend, onNonfinite = described.train.onNonfinite }: ChangedPlan,
): RunConfig => {
  const config = { ...described, train: { ...described.train, onNonfinite } };
  if (steps === undefined) return config;
  // The plan has this number of steps already. Nothing changes, unless the run stopped early (patience).
  if (steps === config.train.steps && extend === undefined && endOf(progress, config.train) === null) return config;
  return extendConfig(config, progress.step, { steps, extend });
};
