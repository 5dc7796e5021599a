/** The table of `sweep`. */
import type { HeldOutLoss, SweepResult, SweptSetting } from "../../../sweep/result.ts";
import type { Ending } from "../../../sweep/schedule.ts";
import { formatPValue } from "./comparison-table.ts";
import { formatCount, formatPlural } from "./format.ts";
import { columns, padLeft, padRight, wrapText } from "./width.ts";

const signed = (value: number): string => `${value < 0 ? "" : "+"}${value.toFixed(4)}`;

/** @param seeds number of seeds in the sweep. A setting that has a loss for each seed was not stopped. */
const endingText = (ending: Ending, seeds: number): string => {
  switch (ending.kind) {
    case "finished":
      return "";
    case "race": {
      const p = formatPValue(ending.p);
      const better = `another setting is better (p ${p.startsWith("<") ? p : `= ${p}`})`;
      return ending.seeds < seeds ? `stopped after ${formatPlural(ending.seeds, "seed")}: ${better}` : better;
    }
    case "halving":
      return `stopped at ${+(100 * ending.share).toFixed(2)}% of its steps: its loss was in the worse half`;
    case "budget":
      return "stopped: it did not fit into the budget";
    case "failed":
      return `failed: ${ending.reason}`;
  }
};

/** The order of the rows: first the winner, then other finished settings by loss, then the unfinished settings. */
const inOrder = ({ settings }: SweepResult): readonly SweptSetting[] => {
  const lossOf = ({ natsPerCharacter }: SweptSetting): number => natsPerCharacter ?? Number.MAX_VALUE;
  const late = ({ ending }: SweptSetting): number => (ending.kind === "finished" ? 0 : 1);
  return [...settings].sort((a, b) => late(a) - late(b) || lossOf(a) - lossOf(b) || a.number - b.number);
};

const aboveText = ({ number, aboveWinner }: SweptSetting, winner: number | null): string => {
  if (number === winner) return "best";
  if (aboveWinner === null) return "";
  const { natsPerCharacter, halfWidth95 } = aboveWinner;
  return `${signed(natsPerCharacter)}${halfWidth95 === null ? "" : ` ± ${halfWidth95.toFixed(4)}`}`;
};

/** Range of the losses over seeds. Empty for one seed. */
const rangeText = ({ runs }: HeldOutLoss): string => {
  if (runs.length < 2) return "";
  const losses = runs.map(({ natsPerCharacter }) => natsPerCharacter);
  const [lowest, highest] = [Math.min(...losses), Math.max(...losses)];
  return ` (mean of ${runs.length} seeds; lowest ${lowest.toFixed(4)}, highest ${highest.toFixed(4)})`;
};

/**
 * Number of trained steps, and why the other steps were not trained. Steps count as saved only if a setting was stopped
 * early by a rule.
 */
const stepsText = ({ settings, steps, plannedSteps }: SweepResult): string => {
  const shareOf = (isCounted: (kind: Ending["kind"]) => boolean): number =>
    settings
      .filter(({ ending }) => isCounted(ending.kind))
      .reduce((sum, one) => sum + one.plannedSteps - one.steps, 0) / plannedSteps;
  const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;
  const failed = shareOf((kind) => kind === "failed");
  const left = shareOf((kind) => kind === "budget");
  const told = [
    `${percent(shareOf((kind) => kind !== "failed" && kind !== "budget"))} of the steps were saved by early stops`,
    ...(failed > 0 ? [`${percent(failed)} of the steps are missing because settings failed`] : []),
    ...(left > 0 ? [`${percent(left)} of the steps did not fit into the budget`] : []),
  ];
  return `${formatCount(steps)} steps of ${formatCount(plannedSteps)} were trained; ${told.join("; ")}.`;
};

/** @param width columns of the terminal; infinite in a pipe. */
export const sweepTable = (result: SweepResult, seeds: readonly number[], width: number): string => {
  const { winner, heldOut } = result;
  const cells = inOrder(result).map((setting) => [
    String(setting.number),
    setting.name,
    formatCount(setting.steps),
    setting.natsPerCharacter === null ? "" : setting.natsPerCharacter.toFixed(4),
    aboveText(setting, winner),
    endingText(setting.ending, seeds.length),
  ]);
  const titles = ["", "setting", "steps", "nats/char", "above the best", ""];
  const all = [titles, ...cells];
  const widths = titles.map((_, i) => Math.max(...all.map((row) => columns(row[i] ?? ""))));
  const isLeft = [false, true, false, false, true];
  const lines = all.flatMap((row) => {
    const start = isLeft
      .map((left, i) => (left ? padRight : padLeft)(row[i] ?? "", widths[i] ?? 0))
      .join("  ")
      .trimEnd();
    const ending = row[5] ?? "";
    if (ending === "") return [start];
    const room = width - columns(start) - 2;
    return room >= columns(ending)
      ? [`${start}  ${ending}`]
      : [start, ...wrapText(ending, width - 4).map((line) => `    ${line}`)];
  });
  const told = [
    `Each loss is the lowest loss of a run on the part of the text for choosing the winner${seeds.length === 1 ? "" : ", as a mean over the seeds"}. ± gives the 95% confidence interval of the loss over seeds. The loss of the best setting is too low here, because the setting was chosen by this loss.`,
    ...(heldOut === null
      ? ["No setting has finished."]
      : [
          `The best setting has ${heldOut.natsPerCharacter.toFixed(4)} nats per character${rangeText(heldOut)} and ${heldOut.bitsPerByte.toFixed(4)} bits per byte on the held-out part, which was measured only once.`,
        ]),
    stepsText(result),
  ];
  return [...lines, "", ...told.flatMap((line) => wrapText(line, width)), ""].join("\n");
};
