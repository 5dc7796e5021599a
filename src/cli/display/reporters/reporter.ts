import type { TrainEvent } from "../../../runs/events.ts";
import { writeJson, writeNotice } from "../../process/output.ts";

/** Shows the events of a run, in one of three ways: JSON, plain lines, or a display redrawn in place. */
export interface TrainReporter {
  event(event: TrainEvent): void;
  /** Shows one line for the user. */
  notice(line: string): void;
  /** The run has been told to stop. */
  interrupting(): void;
  /** Restores the terminal. Safe to call twice. */
  close(): void;
}

/** The events as they are, one per line. */
export const jsonReporter = (): TrainReporter => ({
  event: writeJson,
  notice: writeNotice,
  interrupting: () => {},
  close: () => {},
});

/** Shows nothing: for the ranks of a run that another one shows. */
export const silentReporter = (): TrainReporter => ({
  event: () => {},
  notice: () => {},
  interrupting: () => {},
  close: () => {},
});
