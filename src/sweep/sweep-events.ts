/** Events of a sweep. */
import type { SweepResult } from "./result.ts";

/** First event of a sweep. */
export interface SweepStartEvent {
  /** Which event it is. */
  readonly type: "start";
  /** The sweep's folder. */
  readonly out: string;
  /** Names of the settings, in the order of the file. */
  readonly settings: readonly string[];
  /** Seeds of each setting. */
  readonly seeds: readonly number[];
  /** Steps of all runs if no setting ends early. */
  readonly plannedSteps: number;
}

/** Sent before a phase. In the phase, some runs are trained. */
export interface SweepPhaseEvent {
  readonly type: "phase";
  /** Number of the phase, from 1. */
  readonly phase: number;
  /**
   * Number of settings in the phase. In a race, the better half of the settings has its own phase, which comes first.
   */
  readonly settings: number;
  /** Number of runs in the phase, including runs that are already done. */
  readonly runs: number;
}

/** A run has reached the end of its current part. */
export interface SweepRunEvent {
  readonly type: "run";
  /** Number of the run's setting, from 1. */
  readonly setting: number;
  /** Its seed. */
  readonly seed: number;
  /** Steps done. */
  readonly step: number;
  /**
   * Lowest loss so far on the text that is used to choose the winner, in nats per character; null if the run failed.
   */
  readonly natsPerCharacter: number | null;
  /** Reason why the run failed; null if it did not. */
  readonly failure: string | null;
}

/** Last event of a sweep. */
export interface SweepDoneEvent {
  readonly type: "done";
  /** The table. */
  readonly result: SweepResult;
  /** Path of the file with the winner's configuration, for `train --config`; null without a winner. */
  readonly config: string | null;
}

/** Events of `sweep`. */
export type SweepEvent = SweepStartEvent | SweepPhaseEvent | SweepRunEvent | SweepDoneEvent;
