import type { TrainEvent } from "../../../runs/events.ts";
import { writeJson, writeNotice } from "../../process/output.ts";

/** Shows the events of a run as JSON, as plain lines, or in a display that is redrawn in place. */
export interface TrainReporter {
  event(event: TrainEvent): void;
  /** Shows one line for the user. */
  notice(line: string): void;
  /** Call it when the run was asked to stop. */
  interrupting(): void;
  /** Restores the terminal. May be called twice. */
  close(): void;
}

/** Writes each event as one line of JSON. */
export const jsonReporter = (): TrainReporter => ({
  event: writeJson,
  notice: writeNotice,
  interrupting: () => {},
  close: () => {},
});

/** Shows nothing. This reporter is for all MPI ranks except the reporting rank. */
export const silentReporter = (): TrainReporter => ({
  event: () => {},
  notice: () => {},
  interrupting: () => {},
  close: () => {},
});
