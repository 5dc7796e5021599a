/** State of a run in words. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { failureWords } from "./failure-words.ts";
import { count } from "./format.ts";

export type Tone = "live" | "good" | "still" | "bad";

export interface StateWords {
  readonly tone: Tone;
  readonly word: string;
  /** Meaning of the state, in a sentence. */
  readonly about: string;
}

export const isLive = ({ state, owner }: RunSummary): boolean => state === "unfinished" && owner !== null;

const endedEarly = ({ config: { train }, step, steps }: RunSummary): string => {
  const evaluations = train.patience === 1 ? "1 evaluation" : `${train.patience} evaluations in a row`;
  return `${evaluations} did not improve the validation loss, so the run ended at step ${count(step)} of ${count(steps)}.`;
};

export const stateWords = (run: RunSummary): StateWords => {
  const { state, owner, paused, failure, step, steps, hasCheckpoint } = run;
  if (state === "failed") {
    const about = failure === null ? "The run ended with an error." : failureWords(failure).what;
    return { tone: "bad", word: "Failed", about };
  }
  if (state === "finished") return { tone: "good", word: "Finished", about: `All ${count(steps)} steps are done.` };
  if (state === "patience") return { tone: "good", word: "Ended early", about: endedEarly(run) };
  if (state === "interrupted")
    return { tone: "still", word: "Stopped", about: `The run was stopped at step ${count(step)} and can be resumed.` };
  if (paused)
    return {
      tone: "live",
      word: "Paused",
      about: "Training is paused while a text is written. It then continues by itself.",
    };
  if (owner === "studio") return { tone: "live", word: "Training", about: "This studio trains the run." };
  if (owner === "elsewhere")
    return { tone: "live", word: "Training elsewhere", about: "Another process on this machine trains the run." };
  return {
    tone: "still",
    word: "Broken off",
    about: hasCheckpoint
      ? "The run’s process ended unexpectedly. Resume the run from its checkpoint."
      : "The run’s process ended unexpectedly, before the first checkpoint. Start the run again.",
  };
};
