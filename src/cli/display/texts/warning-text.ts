import { commandLine } from "../../../core/text/shell-word.ts";
import type { NonfiniteEvent, OverfittingEvent, StartEvent } from "../../../runs/events.ts";
import { formatCount, formatLoss } from "./format.ts";

/** The start event of the run. The advice depends on it. */
type Begun = Pick<StartEvent, "initFrom" | "config">;

/** Maximum dropout that is suggested. */
const mostDropout = 0.4;

/** Remedies against overfitting that the run does not yet use. */
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

/** Warning for a rising validation loss. */
export const overfittingText = ({ step, valLoss, bestValLoss, bestStep }: OverfittingEvent, start: Begun): string =>
  `step ${formatCount(step)}   validation loss is rising: ${formatLoss(valLoss)}, after ${formatLoss(bestValLoss)} ` +
  `at step ${formatCount(bestStep)}; best/ keeps the weights of that step; try ${remedies(start)}`;

const actionText = { skip: "skipped", rollback: "back to the last checkpoint" } as const satisfies Record<
  NonfiniteEvent["action"],
  string
>;

const figure = (name: string, value: number | null): string =>
  `${name} ${value === null ? "is not finite" : value.toPrecision(4)}`;

/** Warning for a rejected step. */
export const nonfiniteText = ({ step, loss, gradNorm, tensor, action, file }: NonfiniteEvent): string =>
  [
    `step ${formatCount(step)}   rejected: ${figure("loss", loss)}, ${figure("gradient norm", gradNorm)}, first in ${tensor}`,
    actionText[action],
    ...(file === null ? [] : [`to repeat it: ${commandLine(["replay", file])}`]),
  ].join("; ");
