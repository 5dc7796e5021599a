import type { TrainEvent } from "../../../train/events.ts";
import { writeJson, writeNotice } from "../../output.ts";

/** Tells what happens in a run, in one of three ways: JSON, plain lines, or a display redrawn in place. */
export interface TrainReporter {
  event(event: TrainEvent): void;
  /** A line that the user should see. */
  notice(line: string): void;
  /** The run has been told to stop. */
  interrupting(): void;
  /** Gives the terminal back as it was. Safe to call twice. */
  close(): void;
}

/** The events as they are, one a line. */
export const jsonReporter = (): TrainReporter => ({
  event: writeJson,
  notice: writeNotice,
  interrupting: () => {},
  close: () => {},
});
