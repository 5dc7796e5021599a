/** The result of a sweep. */
import { isRecord } from "../core/checks/is-record.ts";
import type { Ending } from "./schedule.ts";
import { halfWidthOfPairs, mean, noiseOf } from "./statistics.ts";

/** Lowest loss of a run on the text that is used to choose the winner. */
export interface SweptRun {
  /** Its seed. */
  readonly seed: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
}

/** Distance of a setting's loss from the winner's loss. */
export interface AboveWinner {
  /** The setting's mean loss minus the winner's mean loss, nats per character. */
  readonly natsPerCharacter: number;
  /** Half the width of the 95% confidence interval of the difference, over seeds; null with one seed. */
  readonly halfWidth95: number | null;
}

/** A setting in the result. */
export interface SweptSetting {
  /** Number of the setting, from 1. The names of run folders contain it, too. */
  readonly number: number;
  /** Name, with the values of the varied fields. */
  readonly name: string;
  /** How the setting ended: `finished`, or why it ended early. */
  readonly ending: Ending;
  /** Steps of all runs of this setting. */
  readonly steps: number;
  /** Steps that these runs would have without an early end. */
  readonly plannedSteps: number;
  /**
   * Lowest loss of each run on the text that is used to choose the winner, in nats per character, by seed. The loss of
   * a stopped run is the lowest loss until the run was stopped.
   */
  readonly losses: readonly SweptRun[];
  /** Mean of `losses`; null if there are none. */
  readonly natsPerCharacter: number | null;
  /** Distance from the winner; null for the winner and for settings that did not finish. */
  readonly aboveWinner: AboveWinner | null;
}

/** Loss of one of the winner's runs on the held-out text. */
export interface HeldOutRun {
  /** Its seed. */
  readonly seed: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. */
  readonly bitsPerByte: number;
}

/** Loss of the winner on the held-out text. */
export interface HeldOutLoss {
  /** Mean over the seeds. */
  readonly natsPerCharacter: number;
  /** Mean over the seeds. */
  readonly bitsPerByte: number;
  /** Loss of each run. */
  readonly runs: readonly HeldOutRun[];
}

/**
 * Result of a sweep. If the sweep was interrupted and resumed, the result is still the same, unless the budget is in
 * minutes.
 */
export interface SweepResult {
  /** Settings in the order of the file. */
  readonly settings: readonly SweptSetting[];
  /** Number of the best setting, as in `settings`; null if no setting finished. */
  readonly winner: number | null;
  /** Loss on the held-out text, measured only once, for the winner; null without a winner. */
  readonly heldOut: HeldOutLoss | null;
  /** Steps of all runs. */
  readonly steps: number;
  /** Steps that all runs would have without an early end. */
  readonly plannedSteps: number;
}

/** Final state of a setting. */
export interface SettingOutcome {
  readonly name: string;
  readonly ending: Ending;
  readonly steps: number;
  readonly plannedSteps: number;
  readonly losses: SweptSetting["losses"];
}

const meanOf = ({ losses }: SettingOutcome): number => mean(losses.map(({ natsPerCharacter }) => natsPerCharacter));

/** The finished setting with the lowest mean loss. */
const bestOf = <Outcome extends SettingOutcome>(finished: readonly Outcome[]): Outcome | undefined =>
  finished.reduce<Outcome | undefined>((a, b) => (a === undefined || meanOf(b) < meanOf(a) ? b : a), undefined);

const isFinished = ({ ending }: SettingOutcome): boolean => ending.kind === "finished";

/** Adds to each setting its distance from the best finished setting. */
export const sweptSettings = (
  outcomes: readonly SettingOutcome[],
): { readonly settings: readonly SweptSetting[]; readonly winner: number | null } => {
  const finished = outcomes.filter(isFinished);
  const best = bestOf(finished);
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

/** Whether a value is an ending of a setting. */
export const isEnding = (value: unknown): value is Ending => {
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

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** Steps done and planned. */
const areSteps = ({ steps, plannedSteps }: Readonly<Record<string, unknown>>): boolean =>
  isCount(steps) && isCount(plannedSteps) && plannedSteps > 0 && steps <= plannedSteps;

/** Whether a mean belongs to its values; sums of other machines may differ in their last digits. */
const isMeanOf = (value: number, values: readonly number[]): boolean =>
  Math.abs(value - mean(values)) <= 1e-9 * Math.abs(value);

const isSetting = (value: unknown): boolean =>
  isNumbers(value, "number", "steps", "plannedSteps") &&
  areSteps(value) &&
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

const hasResultFields = (value: unknown, settings: number): value is SweepResult =>
  isNumbers(value, "steps", "plannedSteps") &&
  areSteps(value) &&
  isListOf(value.settings, isSetting) &&
  value.settings.length === settings &&
  (value.winner === null ? value.heldOut === null : isNumber(value.winner) && isHeldOut(value.heldOut));

/** Whether the numbers of a result belong together. */
const isConsistent = ({ settings, winner, heldOut, steps, plannedSteps }: SweepResult): boolean => {
  const sum = (key: "steps" | "plannedSteps"): number => settings.reduce((total, one) => total + one[key], 0);
  const nats = (runs: readonly SweptRun[]): readonly number[] => runs.map((run) => run.natsPerCharacter);
  return (
    steps === sum("steps") &&
    plannedSteps === sum("plannedSteps") &&
    settings.every(
      ({ number, losses, natsPerCharacter }, i) =>
        number === i + 1 &&
        (natsPerCharacter === null ? losses.length === 0 : isMeanOf(natsPerCharacter, nats(losses))),
    ) &&
    winner === (bestOf(settings.filter(isFinished))?.number ?? null) &&
    (heldOut === null ||
      (isMeanOf(heldOut.natsPerCharacter, nats(heldOut.runs)) &&
        isMeanOf(
          heldOut.bitsPerByte,
          heldOut.runs.map((run) => run.bitsPerByte),
        )))
  );
};

/** Whether a value is a complete result of a sweep with this number of settings, without damage. */
export const isSweepResult = (value: unknown, settings: number): value is SweepResult =>
  hasResultFields(value, settings) && isConsistent(value);
