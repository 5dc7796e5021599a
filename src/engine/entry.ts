import { type GuessState, learn, newGuessState } from "./guess-state.ts";
import type { Piece } from "./passes.ts";
import type { Sequence, SequenceRequest } from "./sequence.ts";

/** A request in an engine. */
export interface Entry {
  readonly request: SequenceRequest;
  /** Null if the request waits for pages or has ended. */
  sequence: Sequence | null;
  /** State of the sequence's guesses. */
  readonly guessing: GuessState;
  /** Whether the sequence is paused. */
  paused: boolean;
  /** Whether the request has ended. After its end, no tokens are computed. */
  ended: boolean;
  /** Functions that settle the promise of the caller. */
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** @param before the guess state of the most recent text. @returns the entry, and the promise for the caller. */
export const newEntry = (
  request: SequenceRequest,
  before: GuessState | undefined,
): { readonly entry: Entry; readonly ended: Promise<void> } => {
  const told: { resolve?: () => void; reject?: (error: unknown) => void } = {};
  const ended = new Promise<void>((resolve, reject) => Object.assign(told, { resolve, reject }));
  const { resolve = () => {}, reject = () => {} } = told;
  const guessing = newGuessState(request.draft === undefined ? undefined : before);
  return { entry: { request, sequence: null, guessing, paused: false, ended: false, resolve, reject }, ended };
};

/** The piece of a pass that belongs to one sequence. */
export interface Planned {
  readonly entry: Entry;
  readonly sequence: Sequence;
  readonly piece: Piece;
  /** Guessed tokens at the end of the piece. Some may be wrong. */
  readonly guesses: readonly number[];
}

/** Ends the entry and settles the caller's promise. */
export const settle = (entry: Entry, error?: unknown): void => {
  entry.ended = true;
  entry.sequence?.close();
  entry.sequence = null;
  if (error === undefined) entry.resolve();
  else entry.reject(error);
};

/**
 * Gives the logits of a pass to the sequence and appends the chosen tokens: one token, and an additional token for each
 * right guess. An error ends only this sequence.
 * @returns the number of right guesses.
 */
export const advance = ({ entry, sequence, piece, guesses }: Planned, logits: readonly Float32Array[]): number => {
  if (entry.ended) return 0;
  const { request } = entry;
  const { guessing } = entry;
  guessing.guessed += guesses.length;
  const certain = piece.ids.length - guesses.length;
  const chosen: number[] = [];
  let cameTrue = 0;
  try {
    sequence.done(piece, certain);
    const first = logits.length - guesses.length - 1;
    const last = sequence.missing === 0 ? logits[first] : undefined;
    if (piece.wants === "all" && guesses.length === 0)
      for (const one of logits) if (one !== last) request.readPrompt?.(one);
    for (let next = last; next !== undefined; ) {
      const id = request.choose(next);
      if (entry.ended) break;
      if (id !== null) {
        sequence.append(id);
        chosen.push(id);
      }
      if (id === null || sequence.ids.length >= request.prompt.length + request.maxNewTokens) {
        settle(entry);
        break;
      }
      if (guesses[cameTrue] !== id) break;
      guessing.accepted++;
      sequence.done(piece, 1);
      next = logits[first + ++cameTrue];
    }
    learn(guessing, chosen);
  } catch (error) {
    settle(entry, error);
  }
  return cameTrue;
};
