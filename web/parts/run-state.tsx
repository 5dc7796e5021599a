/** State of a run in words, with a sign. The signs of the states differ in shape, not only in colour. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { isLost, isRefused } from "../server/event-stream.ts";
import { isLive, type StateWords, stateWords, type Tone } from "./state-words.ts";

/** State of a run of this studio while the studio's server does not respond. */
const unreachable: StateWords = {
  tone: "still",
  word: "Studio unreachable",
  about: "The studio that trains this run has ended or cannot be reached.",
};

/**
 * State of a run that this studio trained before the studio was restarted. Without the new token, the page cannot
 * request the state of the run.
 */
const restarted: StateWords = {
  tone: "still",
  word: "Studio restarted",
  about: "The studio was restarted and requires its new token.",
};

const signs: Readonly<Record<Tone, string>> = {
  live: "M5 1.2a3.8 3.8 0 1 0 0 7.6a3.8 3.8 0 1 0 0-7.6Z",
  good: "M1.2 5.4 4 8.2 9 2",
  still: "M1.8 1.8h6.4v6.4H1.8Z",
  bad: "M1.8 1.8l6.4 6.4M8.2 1.8 1.8 8.2",
};

/** Whether the state of the run is unknown. Only this studio knows the state, and the studio does not respond. */
export const isCutOff = (run: RunSummary): boolean => isLost.value && isLive(run) && run.owner === "studio";

export const RunState = ({ run }: { readonly run: RunSummary }) => {
  const { tone, word, about } = !isCutOff(run) ? stateWords(run) : isRefused.value ? restarted : unreachable;
  return (
    <span class={`state state-${tone}`} title={about}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
        <path d={signs[tone]} />
      </svg>
      {word}
    </span>
  );
};
