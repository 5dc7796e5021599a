import { type Entry, type Planned, settle } from "./entry.ts";
import type { Pace } from "./pace.ts";

/** Logits that are read of the prompts of a pass at most: 64 MiB. */
const mostLogits = 2 ** 24;

/** Plans the piece of one sequence, of at most so many positions. A page that cannot be had ends it. */
const planOne = (entry: Entry, most: number): readonly Planned[] => {
  const { sequence } = entry;
  if (sequence === null || most < 1) return [];
  try {
    return [{ entry, sequence, piece: sequence.piece(most) }];
  } catch (error) {
    settle(entry, error);
    return [];
  }
};

/** The pieces of the next pass, all of one model: of each sequence that writes a token, and of the prompts what there is time for. */
export const planPass = (running: readonly Entry[], pace: Pace, vocabSize: number): readonly Planned[] => {
  const ready = running.filter(({ paused, ended }) => !paused && !ended);
  const model = ready[0]?.request.model;
  const mine = ready.filter(({ request }) => request.model === model);
  const isWriting = ({ sequence }: Entry): boolean => sequence?.isWriting === true;
  const planned = mine.filter(isWriting).flatMap((entry) => planOne(entry, 1));
  let positions = pace.positions(planned.length);
  let logits = mostLogits;
  for (const entry of mine.filter((one) => !isWriting(one))) {
    if (positions < 1) break;
    const each = entry.request.readPrompt === undefined ? 0 : vocabSize;
    const mostRead = each === 0 ? positions : Math.floor(logits / each);
    // A vocabulary that is larger than all of it: one position at a time.
    const most = Math.min(positions, planned.length === 0 ? Math.max(1, mostRead) : mostRead);
    const pieces = planOne(entry, most);
    const count = pieces[0]?.piece.ids.length ?? 0;
    planned.push(...pieces);
    positions -= count;
    logits -= count * each;
  }
  return planned;
};
