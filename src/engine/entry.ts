import type { Piece } from "./passes.ts";
import type { Sequence, SequenceRequest } from "./sequence.ts";

/** A request on its way through an engine. */
export interface Entry {
  readonly request: SequenceRequest;
  /** null: it waits to be let in, or has ended. */
  sequence: Sequence | null;
  /** Nothing of it is computed for now. */
  paused: boolean;
  /** Nothing of it is computed any more. */
  ended: boolean;
  /** What its caller waits for. */
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Its piece of a pass. */
export interface Planned {
  readonly entry: Entry;
  readonly sequence: Sequence;
  readonly piece: Piece;
}

/** Ends it, and tells its caller. */
export const settle = (entry: Entry, error?: unknown): void => {
  entry.ended = true;
  entry.sequence?.close();
  entry.sequence = null;
  if (error === undefined) entry.resolve();
  else entry.reject(error);
};

/** Hands logits of a pass on, and takes the chosen token. What goes wrong ends this sequence alone. */
export const advance = ({ entry, sequence, piece }: Planned, logits: readonly Float32Array[]): void => {
  if (entry.ended) return;
  const { request } = entry;
  try {
    sequence.done(piece);
    const last = sequence.missing === 0 ? logits.at(-1) : undefined;
    if (piece.wants === "all") for (const one of logits) if (one !== last) request.readPrompt?.(one);
    if (last === undefined) return;
    const id = request.choose(last);
    if (entry.ended) return;
    if (id !== null) sequence.append(id);
    if (id === null || sequence.ids.length >= request.prompt.length + request.maxNewTokens) settle(entry);
  } catch (error) {
    settle(entry, error);
  }
};
