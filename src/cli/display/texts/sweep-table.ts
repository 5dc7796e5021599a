/** The table of `sweep`. */
import type { SweepResult, SweptSetting } from "../../../sweep/result.ts";
import type { Ending } from "../../../sweep/schedule.ts";
import { formatPValue } from "./comparison-table.ts";
import { formatCount, formatPlural } from "./format.ts";
import { columns, padLeft, padRight, wrapText } from "./width.ts";

const signed = (value: number): string => `${value < 0 ? "" : "+"}${value.toFixed(4)}`;

const endingText = (ending: Ending): string => {
  switch (ending.kind) {
    case "finished":
      return "";
    case "race": {
      const p = formatPValue(ending.p);
      return `stopped after ${formatPlural(ending.seeds, "seed")}: another is better (p ${p.startsWith("<") ? p : `= ${p}`})`;
    }
    case "halving":
      return `stopped at ${+(100 * ending.share).toFixed(2)}% of its steps: not in the better half`;
    case "budget":
      return "stopped: the budget was too small for it";
    case "failed":
      return `failed: ${ending.reason}`;
  }
};

/** The winner first, then by loss those that finished, then the others. */
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

/** @param width columns of the terminal; infinite in a pipe. */
export const sweepTable = (result: SweepResult, seeds: readonly number[], width: number): string => {
  const { winner, heldOut, steps, plannedSteps } = result;
  const cells = inOrder(result).map((setting) => [
    String(setting.number),
    setting.name,
    formatCount(setting.steps),
    setting.natsPerCharacter === null ? "" : setting.natsPerCharacter.toFixed(4),
    aboveText(setting, winner),
    endingText(setting.ending),
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
  const share = (100 * (1 - steps / plannedSteps)).toFixed(0);
  const range = heldOut?.runs.map((run) => run.natsPerCharacter) ?? [];
  const told = [
    `Losses are the lowest ones of each run on the part of the text that chooses, as means over ${seeds.length === 1 ? "one seed" : "the seeds"}; ± is half of the 95% interval over seeds. The best was chosen by them, so its own is too low.`,
    ...(heldOut === null
      ? ["No setting has finished."]
      : [
          `Measured once on what was held out, the best has ${heldOut.natsPerCharacter.toFixed(4)} nats per character (${Math.min(...range).toFixed(4)} to ${Math.max(...range).toFixed(4)}), ${heldOut.bitsPerByte.toFixed(4)} bits per byte.`,
        ]),
    `${formatCount(steps)} steps of ${formatCount(plannedSteps)} were trained; ${share}% were saved.`,
  ];
  return [...lines, "", ...told.flatMap((line) => wrapText(line, width)), ""].join("\n");
};
