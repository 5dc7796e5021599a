import { type GuessState, learn, newGuessState } from "./guess-state.ts";
import type { Piece } from "./passes.ts";
import type { Sequence, SequenceRequest } from "./sequence.ts";

/** A request on its way through an engine. */
export interface Entry {
  readonly request: SequenceRequest;
  /** null: it waits to be let in, or has ended. */
  sequence: Sequence | null;
  /** What is known of its guesses. */
  readonly guessing: GuessState;
  /** Nothing of it is computed for now. */
  paused: boolean;
  /** Nothing of it is computed any more. */
  ended: boolean;
  /** What its caller waits for. */
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** @param before what is known of the guesses of the last text. @returns it, and what its caller waits for. */
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

/** Its piece of a pass. */
export interface Planned {
  readonly entry: Entry;
  readonly sequence: Sequence;
  readonly piece: Piece;
  /** The last tokens of the piece, which may be others. */
  readonly guesses: readonly number[];
}

/** Ends it, and tells its caller. */
export const settle = (entry: Entry, error?: unknown): void => {
  entry.ended = true;
  entry.sequence?.close();
  entry.sequence = null;
  if (error === undefined) entry.resolve();
  else entry.reject(error);
};

/**
 * Hands logits of a pass on, and takes the chosen tokens: one, and another for each guess that comes true. What goes wrong ends this
 * sequence alone.
 * @returns how many guesses came true.
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
