import { commandLine } from "../../../core/text/shell-word.ts";
import type { NonfiniteEvent, OverfittingEvent, StartEvent } from "../../../runs/events.ts";
import { formatCount, formatLoss } from "./format.ts";

/** What the advice follows from. */
type Begun = Pick<StartEvent, "initFrom" | "config">;

/** Most dropout that is advised. */
const mostDropout = 0.4;

/** What a run can do about learning by heart that it does not do yet. */
const remedies = ({ initFrom, config: { model, train } }: Begun): string => {
  const dropout = Math.round((model.dropout + 0.1) * 100) / 100;
  const tried = [
    "more text",
    ...(dropout <= mostDropout ? [`--model.dropout ${dropout}`] : []),
    initFrom === null ? "a smaller model" : "a lower --learning-rate",
    ...(train.patience === 0 ? ["--patience 3"] : []),
  ];
  return `${tried.slice(0, -1).join(", ")} or ${tried.at(-1)}`;
};

/** Warning for a validation loss that has begun to rise. */
export const overfittingText = ({ step, valLoss, bestValLoss, bestStep }: OverfittingEvent, start: Begun): string =>
  `step ${formatCount(step)}   validation loss has turned: ${formatLoss(valLoss)}, after ${formatLoss(bestValLoss)} ` +
  `at step ${formatCount(bestStep)}; best/ keeps those weights; try ${remedies(start)}`;

const actionText = { skip: "skipped", rollback: "back to the last checkpoint" } as const satisfies Record<
  NonfiniteEvent["action"],
  string
>;

const figure = (name: string, value: number | null): string =>
  `${name} ${value === null ? "is not finite" : value.toPrecision(4)}`;

/** Warning for a step that was left out. */
export const nonfiniteText = ({ step, loss, gradNorm, tensor, action, file }: NonfiniteEvent): string =>
  [
    `step ${formatCount(step)}   not taken: ${figure("loss", loss)}, ${figure("gradient norm", gradNorm)}, first in ${tensor}`,
    actionText[action],
    ...(file === null ? [] : [`to repeat it: ${commandLine(["replay", file])}`]),
  ].join("; ");
