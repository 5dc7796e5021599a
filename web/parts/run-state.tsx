/** The state of a run in words, with a sign whose form differs too. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";

type Tone = "live" | "good" | "still" | "bad";

export interface StateWords {
  readonly tone: Tone;
  readonly word: string;
  /** What it means, in a sentence. */
  readonly about: string;
}

export const isLive = ({ state, owner }: RunSummary): boolean => state === "unfinished" && owner !== null;

export const stateWords = (run: RunSummary): StateWords => {
  const { state, owner, paused, failure, step, steps } = run;
  if (state === "failed") return { tone: "bad", word: "Failed", about: failure ?? "The run ended with an error." };
  if (state === "finished") return { tone: "good", word: "Finished", about: `All ${steps} steps are done.` };
  if (state === "patience")
    return { tone: "good", word: "Ended early", about: "The validation loss got no better for its patience." };
  if (state === "interrupted")
    return { tone: "still", word: "Stopped", about: `It was stopped at step ${step} and can be resumed.` };
  if (paused)
    return { tone: "live", word: "Paused", about: "It stands still while a text is written, and goes on by itself." };
  if (owner === "studio") return { tone: "live", word: "Training", about: "This studio trains it." };
  if (owner === "elsewhere")
    return { tone: "live", word: "Training elsewhere", about: "Another process on this machine trains it." };
  return {
    tone: "still",
    word: "Broken off",
    about: "Its process ended without a last note; it resumes from its checkpoint.",
  };
};

const signs: Readonly<Record<Tone, string>> = {
  live: "M5 1.2a3.8 3.8 0 1 0 0 7.6a3.8 3.8 0 1 0 0-7.6Z",
  good: "M1.2 5.4 4 8.2 9 2",
  still: "M1.8 1.8h6.4v6.4H1.8Z",
  bad: "M1.8 1.8l6.4 6.4M8.2 1.8 1.8 8.2",
};

export const RunState = ({ run }: { readonly run: RunSummary }) => {
  const { tone, word, about } = stateWords(run);
  return (
    <span class={`state state-${tone}`} title={about}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
        <path d={signs[tone]} />
      </svg>
      {word}
    </span>
  );
};
