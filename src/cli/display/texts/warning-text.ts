import { commandLine } from "../../../core/shell-word.ts";
import type { NonfiniteEvent, OverfittingEvent } from "../../../train/events.ts";
import { formatCount, formatLoss } from "./format.ts";

/** Warning for a validation loss that has begun to rise. */
export const overfittingText = ({ step, valLoss, bestValLoss, bestStep }: OverfittingEvent): string =>
  `step ${formatCount(step)}   validation loss has turned: ${formatLoss(valLoss)}, after ${formatLoss(bestValLoss)} ` +
  `at step ${formatCount(bestStep)}; best/ keeps those weights; try --model.dropout 0.1, a smaller model or --patience 3`;

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
