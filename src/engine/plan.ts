import type { Model } from "../models/model.ts";
import { type Entry, type Planned, settle } from "./entry.ts";
import type { Guesses } from "./guesses.ts";
import type { Pace } from "./pace.ts";

/** Maximum number of prompt logits of a pass: 64 MiB. */
const mostLogits = 2 ** 24;

/**
 * Plans the piece of one sequence: at most `most` positions, plus guesses. If no page can be allocated, the sequence
 * ends with an error.
 * @returns the number of planned positions.
 */
const planOne = (planned: Planned[], entry: Entry, most: number, guesses: readonly number[] = []): number => {
  const { sequence } = entry;
  if (sequence === null || most < 1) return 0;
  try {
    const piece = sequence.piece(most, guesses);
    planned.push({ entry, sequence, piece, guesses });
    return piece.ids.length;
  } catch (error) {
    settle(entry, error);
    return 0;
  }
};

/** The sequences that write a token in the next pass. */
export const writingOf = (running: readonly Entry[]): readonly Entry[] => {
  const ready = running.filter(({ paused, ended }) => !paused && !ended);
  return ready.filter(
    ({ request, sequence }) => sequence?.isWriting === true && request.model === ready[0]?.request.model,
  );
};

/**
 * Plans the next pass, for one model. The pass contains one piece for each sequence that writes a token. The pace
 * decides the number of prompt positions.
 */
export const planPass = (
  running: readonly Entry[],
  pace: Pace,
  vocabSize: number,
  guesses: Guesses,
): readonly Planned[] => {
  const planned: Planned[] = [];
  const reading: Entry[] = [];
  let model: Model | undefined;
  for (const entry of running) {
    if (entry.paused || entry.ended) continue;
    model ??= entry.request.model;
    if (entry.request.model !== model) continue;
    if (entry.sequence?.isWriting === true) planOne(planned, entry, 1, guesses.get(entry));
    else reading.push(entry);
  }
  if (reading.length === 0) return planned;
  let positions = pace.positions(planned.length);
  let logits = mostLogits;
  for (const entry of reading) {
    if (positions < 1) break;
    const each = entry.request.readPrompt === undefined ? 0 : vocabSize;
    const mostRead = each === 0 ? positions : Math.floor(logits / each);
    // The logits of one position may already exceed the limit. Then a pass computes one position.
    const most = Math.min(positions, planned.length === 0 ? Math.max(1, mostRead) : mostRead);
    const count = planOne(planned, entry, most);
    positions -= count;
    logits -= count * each;
  }
  return planned;
};
