/** The result of a sweep. */
import { isRecord } from "../core/checks/is-record.ts";
import type { Ending } from "./schedule.ts";
import { halfWidthOfPairs, mean, noiseOf } from "./statistics.ts";

/** The lowest loss of a run on the text that chooses. */
export interface SweptRun {
  /** Its seed. */
  readonly seed: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
}

/** How far a setting is above the winner. */
export interface AboveWinner {
  /** Its mean minus the winner's. */
  readonly natsPerCharacter: number;
  /** The difference ± this is its 95% interval over seeds; null: one seed. */
  readonly halfWidth95: number | null;
}

/** A setting as the table has it. */
export interface SweptSetting {
  /** Its number in the folders of its runs, from 1. */
  readonly number: number;
  /** Values of its varied fields. */
  readonly name: string;
  /** How it ended: `finished`, or why it ended early. */
  readonly ending: Ending;
  /** Steps of all its runs. */
  readonly steps: number;
  /** Steps that they would have had without an early end. */
  readonly plannedSteps: number;
  /** Lowest losses of its runs on the text that chooses, nats per character, by seed; those of stopped runs as far as they came. */
  readonly losses: readonly SweptRun[];
  /** Their mean; null: it has none. */
  readonly natsPerCharacter: number | null;
  /** Of a finished setting; null: it is the winner, or not finished. */
  readonly aboveWinner: AboveWinner | null;
}

/** A run of the winner on the text that was held out. */
export interface HeldOutRun {
  /** Its seed. */
  readonly seed: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. */
  readonly bitsPerByte: number;
}

/** The winner on the text that was held out. */
export interface HeldOutLoss {
  /** Mean over the seeds. */
  readonly natsPerCharacter: number;
  /** Mean over the seeds. */
  readonly bitsPerByte: number;
  /** Of each run. */
  readonly runs: readonly HeldOutRun[];
}

/** Result of a sweep: the same whether it was killed and went on or not, unless its budget is in minutes. */
export interface SweepResult {
  /** In the order of the file. */
  readonly settings: readonly SweptSetting[];
  /** Number of the best setting, as in `settings`; null: none has finished. */
  readonly winner: number | null;
  /** Measured once, when the winner is known; null without a winner. */
  readonly heldOut: HeldOutLoss | null;
  /** Steps of all runs. */
  readonly steps: number;
  /** Steps that all runs would have had without an early end. */
  readonly plannedSteps: number;
}

/** What is known of a setting at the end. */
export interface SettingOutcome {
  readonly name: string;
  readonly ending: Ending;
  readonly steps: number;
  readonly plannedSteps: number;
  readonly losses: SweptSetting["losses"];
}

const meanOf = ({ losses }: SettingOutcome): number => mean(losses.map(({ natsPerCharacter }) => natsPerCharacter));

/** The settings with their distance from the best one that has finished. */
export const sweptSettings = (
  outcomes: readonly SettingOutcome[],
): { readonly settings: readonly SweptSetting[]; readonly winner: number | null } => {
  const finished = outcomes.filter(({ ending }) => ending.kind === "finished");
  const best = finished.reduce<SettingOutcome | undefined>(
    (a, b) => (a === undefined || meanOf(b) < meanOf(a) ? b : a),
    undefined,
  );
  const noise = noiseOf(finished.map(({ losses }) => losses.map(({ natsPerCharacter }) => natsPerCharacter)));
  const settings = outcomes.map((outcome, i) => ({
    number: i + 1,
    ...outcome,
    natsPerCharacter: outcome.losses.length === 0 ? null : meanOf(outcome),
    aboveWinner:
      best === undefined || outcome === best || outcome.ending.kind !== "finished"
        ? null
        : {
            natsPerCharacter: meanOf(outcome) - meanOf(best),
            halfWidth95: noise === undefined ? null : halfWidthOfPairs(outcome.losses.length, noise),
          },
  }));
  return { settings, winner: best === undefined ? null : outcomes.indexOf(best) + 1 };
};

const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isNumbers = (value: unknown, ...keys: readonly string[]): value is Readonly<Record<string, unknown>> =>
  isRecord(value) && keys.every((key) => isNumber(value[key]));
const isListOf = (value: unknown, isOne: (one: unknown) => boolean): value is readonly unknown[] =>
  Array.isArray(value) && value.every(isOne);

const isEnding = (value: unknown): boolean => {
  if (!isRecord(value)) return false;
  switch (value.kind) {
    case "race":
      return isNumbers(value, "p", "seeds");
    case "halving":
      return isNumber(value.share);
    case "failed":
      return typeof value.reason === "string";
    default:
      return value.kind === "finished" || value.kind === "budget";
  }
};

const isSetting = (value: unknown): boolean =>
  isNumbers(value, "number", "steps", "plannedSteps") &&
  typeof value.name === "string" &&
  isEnding(value.ending) &&
  isListOf(value.losses, (one) => isNumbers(one, "seed", "natsPerCharacter")) &&
  (value.natsPerCharacter === null || isNumber(value.natsPerCharacter)) &&
  (value.aboveWinner === null ||
    (isNumbers(value.aboveWinner, "natsPerCharacter") &&
      (value.aboveWinner.halfWidth95 === null || isNumber(value.aboveWinner.halfWidth95))));

const isHeldOut = (value: unknown): boolean =>
  isNumbers(value, "natsPerCharacter", "bitsPerByte") &&
  isListOf(value.runs, (one) => isNumbers(one, "seed", "natsPerCharacter", "bitsPerByte"));

/** Whether a file's contents are the whole result of a sweep of so many settings. */
export const isSweepResult = (value: unknown, settings: number): value is SweepResult =>
  isNumbers(value, "steps", "plannedSteps") &&
  isListOf(value.settings, isSetting) &&
  value.settings.length === settings &&
  (value.winner === null
    ? value.heldOut === null
    : isNumber(value.winner) && Number(value.winner) <= settings && isHeldOut(value.heldOut));
