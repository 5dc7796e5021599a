/** Extends a run to another number of steps than planned, and records the extension in the run's configuration. */
import { ConfigError } from "../core/errors/errors.ts";
import { type ExtendKind, type Extension, mostExtensions } from "../optim/config.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { RunConfig, TrainConfig } from "./config.ts";
import { longerSteps } from "./longer-steps.ts";

type Plan = Pick<TrainConfig, "steps" | "extensions">;

/** Whether the run was extended at `step`. */
export const isExtendedAt = ({ extensions = [] }: Plan, step: number): boolean =>
  extensions.some(({ after }) => after === step);

/** Whether `step` is the last step of the plan, or was the last step of the plan before an extension. */
export const isPlannedEnd = ({ steps, extensions = [] }: Plan, step: number): boolean =>
  step === steps || extensions.some(({ after, planned }) => after === step && planned === step);

/** The configurations that a run had before its extensions, oldest first, each with the step at which it ended. */
export const earlierConfigs = (
  config: RunConfig,
): readonly { readonly config: RunConfig; readonly until: number }[] => {
  const { extensions = [], ...train } = config.train;
  return extensions.map(({ after, planned }, i) => ({
    config: {
      ...config,
      train: { ...train, steps: planned, ...(i === 0 ? {} : { extensions: extensions.slice(0, i) }) },
    },
    until: after,
  }));
};

/** A new number of steps for a run. */
export interface MoreSteps {
  /** Total number of steps, including the steps already done. */
  readonly steps: number;
  /** Default "stretch". */
  readonly extend?: ExtendKind | undefined;
}

const checkExtension = ({ train }: RunConfig, done: number, extend: ExtendKind): void => {
  const before = done === 0 ? 1 : learningRateAt(train, done - 1);
  if (extend !== "constant" || before > 0) return;
  throw new ConfigError({
    where: "extend",
    must: "with extend constant the run keeps its last learning rate, which must be above 0",
    got: `0 at step ${done}`,
    hint: "stretch or restart",
  });
};

/**
 * The configuration of a run that has done `done` steps and continues to another total number of steps. If extensions
 * came after `done`, the run has returned to an earlier checkpoint, and these extensions are dropped.
 * @throws ConfigError if the number of steps is not above `done`, or the learning rate would be 0.
 */
export const extendConfig = (config: RunConfig, done: number, { steps, extend = "stretch" }: MoreSteps): RunConfig => {
  if (steps <= done) {
    throw new ConfigError({
      where: "steps",
      must: `the new total number of steps must be above the ${done} steps done`,
      got: String(steps),
      hint: `steps ${longerSteps(config.train, done)}`,
    });
  }
  const { extensions = [], ...train } = config.train;
  const kept = extensions.filter(({ after }) => after <= done);
  const planned = extensions[kept.length]?.planned ?? train.steps;
  const extension: Extension = { after: done, planned, schedule: extend };
  checkExtension(config, done, extend);
  if (kept.length >= mostExtensions) {
    throw new ConfigError({
      where: "steps",
      must: `a run can be extended at most ${mostExtensions} times`,
      got: "one more",
      hint: "a new run with initFrom",
    });
  }
  return { ...config, train: { ...train, steps, extensions: [...kept, extension] } };
};

const count = (value: number): string => value.toLocaleString("en-US");
const rate = (value: number): string => String(Number(value.toPrecision(3)));

/** The word that describes the last change of the number of steps. */
export const extensionWord = ({ steps, extensions = [] }: Plan): "extended" | "shortened" =>
  steps < (extensions.at(-1)?.planned ?? steps) ? "shortened" : "extended";

/** Describes the last extension in parts of a sentence; empty if there is none. */
export const extensionParts = (train: TrainConfig): readonly string[] => {
  const last = train.extensions?.at(-1);
  if (last === undefined) return [];
  const { after, planned, schedule } = last;
  const { steps, warmupSteps } = train;
  const to =
    planned === steps ? `to the planned ${count(steps)} steps` : `from ${count(planned)} steps to ${count(steps)}`;
  const what = `at step ${count(after)}, ${to} (${schedule})`;
  if (after === 0) return [what];
  const risen = Math.min(steps, after + Math.max(1, warmupSteps));
  const [before, peak, end] = [after, risen, steps].map((step) => rate(learningRateAt(train, step - 1)));
  if (before === peak && peak === end) return [what, `learning rate ${end} to the end`];
  const way = before === peak ? `from ${before}` : `from ${before} to ${peak} by step ${count(risen)}`;
  if (risen === steps) return [what, `learning rate ${way}`];
  const fall = peak === end ? "then constant" : `then ${train.schedule.kind} to ${end}`;
  return [what, `learning rate ${way}, ${fall}`];
};
