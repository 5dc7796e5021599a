/**
 * Continuous batching: a model and its views with adapters write many sequences in shared forward passes. Each pass
 * computes pieces of several sequences. When the logits of a sequence are ready, the sequence chooses its next token.
 * The bits of a sequence are the same as without other sequences.
 */
import { ConfigError } from "../core/errors/errors.ts";
import { hostTurns } from "../core/system/yield.ts";
import { checkIds, type Model } from "../models/model.ts";
import { advance, type Entry, newEntry, type Planned, settle } from "./entry.ts";
import { createGuessPace, type GuessPace } from "./guess-pace.ts";
import type { GuessCounts, GuessState } from "./guess-state.ts";
import { guessesOf } from "./guesses.ts";
import { createPace, type Pace } from "./pace.ts";
import { planPass, writingOf } from "./plan.ts";
import { createRoom, type Room } from "./room.ts";
import { openSequence, type SequenceRequest } from "./sequence.ts";

/** Handle of a sequence that is being written. */
export interface Writing {
  /**
   * Resolves after `choose` has returned null, all tokens are written, or `end` was called. Rejects with the error of
   * the sequence.
   */
  readonly ended: Promise<void>;
  /** Ends the sequence. The sequence's pages are free at the next tick. */
  end(): void;
  /** True pauses the sequence, so that no tokens are computed. False resumes the sequence. */
  pause(paused: boolean): void;
  guesses(): GuessCounts;
}

/** Statistics of an engine: counts since it was opened, and its current state. */
export interface EngineCounts extends GuessCounts {
  /** Number of computed positions, in prompts and texts. */
  readonly computed: number;
  /** Number of prompt positions that were already in the KV cache and were not computed again. */
  readonly reused: number;
  /** Forward passes. */
  readonly passes: number;
  /** Number of active sequences, which read their prompts or write tokens. */
  readonly running: number;
  /** Number of sequences that wait for pages. */
  readonly waiting: number;
  /** Number of pages of the KV cache that sequences use. */
  readonly pagesInUse: number;
  /** Number of pages that are kept for later sequences. */
  readonly pagesKept: number;
  /** Maximum number of pages. */
  readonly pagesMost: number;
}

/** An engine that writes sequences. See the comment at the top of the file. */
export interface SequenceEngine {
  /**
   * Adds a sequence. The sequence begins when enough pages are free, but not before the next tick. `choose` is not
   * called before this function returns.
   * @throws ShapeError for an id outside the vocabulary, ConfigError after `close`.
   */
  write(request: SequenceRequest): Writing;
  counts(): EngineCounts;
  /** Ends all sequences and frees the pages. A second call does nothing. */
  close(): Promise<void>;
}

/** Sizes of an engine. */
export interface EngineSizes {
  /**
   * Maximum size of the KV cache in bytes. The engine always allows one whole context of the model, even if it needs
   * more bytes.
   */
  readonly cacheBytes: number;
  /** Maximum number of sequences that are written at the same time. */
  readonly maxSequences: number;
  /** Decides how prompts are cut into pieces. Default: from the measured times of passes. */
  readonly pace?: Pace;
  /** Decides how many tokens are guessed. Default: from the measured times of passes and the share of right guesses. */
  readonly guessPace?: GuessPace;
}

/**
 * Starts waiting sequences in order, while enough pages are free. Returns the number of prompt positions that were
 * already in the KV cache.
 */
const letIn = (room: Room, waiting: Entry[], running: Entry[], most: number): number => {
  let reused = 0;
  for (let entry = waiting[0]; entry !== undefined && running.length < most; entry = waiting[0]) {
    const { request } = entry;
    try {
      room.passesFor(request.model);
      entry.sequence = openSequence(room, request);
      if (entry.sequence === null) break;
      reused += Math.min(request.prompt.length, request.model.config.contextLength) - entry.sequence.missing;
      running.push(entry);
    } catch (error) {
      settle(entry, error);
    }
    waiting.shift();
  }
  return reused;
};

/** Frees the pages of ended sequences and returns the other sequences. */
const letGo = (running: Entry[]): Entry[] => {
  if (!running.some(({ ended }) => ended)) return running;
  for (const entry of running) if (entry.ended && entry.sequence !== null) settle(entry);
  return running.filter(({ ended }) => !ended);
};

/** Moves the sequences of `model` to the end of the list, so that the next pass is for another model. */
const othersFirst = (running: Entry[], model: Model): Entry[] => {
  const isOf = ({ request }: Entry): boolean => request.model === model;
  return running.every(isOf) ? running : [...running.filter((one) => !isOf(one)), ...running.filter(isOf)];
};

/** Counts the rows of a pass: tokens after texts, guesses, and prompt positions. */
const rowsOf = (planned: readonly Planned[]) => {
  let rows = 0;
  let wrote = 0;
  let guessed = 0;
  for (const { piece, guesses } of planned) {
    rows += piece.ids.length;
    guessed += guesses.length;
    if (piece.start > 0 && piece.ids.length === 1 + guesses.length) wrote++;
  }
  return { rows, wrote, guessed, read: rows - wrote - guessed };
};

export const createSequenceEngine = (
  model: Model,
  { cacheBytes, maxSequences, pace = createPace(), guessPace = createGuessPace() }: EngineSizes,
): SequenceEngine => {
  const room = createRoom(model, cacheBytes);
  const { pages } = room;
  const counts = { computed: 0, reused: 0, passes: 0, guessed: 0, accepted: 0 };
  const waiting: Entry[] = [];
  let running: Entry[] = [];
  let loop: Promise<void> | undefined;
  let closed = false;
  /** Guess state of the most recent text that has guesses. */
  let guessing: GuessState | undefined;
  let wake: (() => void) | undefined;

  const pass = async (planned: readonly Planned[], of: Model): Promise<void> => {
    const began = performance.now();
    const pieces = planned.map(({ piece }) => piece);
    try {
      const logits = await room.passesFor(of).run(pieces);
      const took = performance.now() - began;
      const { rows, wrote, guessed, read } = rowsOf(planned);
      pace.note(took, wrote, read);
      if (read === 0) guessPace.note(rows, took);
      counts.computed += rows;
      counts.passes++;
      counts.guessed += guessed;
      for (let i = 0; i < planned.length; i++) counts.accepted += advance(planned[i] as Planned, logits[i] ?? []);
    } catch (error) {
      for (const { entry } of planned) if (!entry.ended) settle(entry, error);
    }
    running = othersFirst(running, of);
  };

  const run = async (): Promise<void> => {
    const turns = hostTurns();
    while (!closed) {
      if (turns.due()) {
        await turns.give();
        continue;
      }
      running = letGo(running);
      if (waiting.length > 0) counts.reused += letIn(room, waiting, running, maxSequences);
      const guesses = guessesOf(writingOf(running), guessPace);
      const planned = planPass(running, pace, model.vocabSize, guesses instanceof Promise ? await guesses : guesses);
      const [first] = planned;
      if (first !== undefined) {
        await pass(planned, first.entry.request.model);
        // If all sequences are paused, there is no turn yet. A reader then gets its token without waiting for unrelated
        // timers. If it takes each token at once, it is aborted in a turn that is due.
        if (running.some(({ paused, ended }) => !paused && !ended)) await turns.give();
      } else if (running.some(({ ended }) => !ended)) {
        // All sequences are paused, so wait for `resume`.
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (waiting.length === 0) return;
      else {
        // No other sequence uses pages, but the free pages are not enough for this sequence. So they will never be
        // enough.
        const error = new ConfigError({
          where: "engine",
          must: "a text must have pages for its keys and values",
          got: "too few",
        });
        settle(waiting.shift() as Entry, error);
      }
    }
  };

  const resume = (): void => {
    wake?.();
    wake = undefined;
    if (closed) return;
    loop ??= run().finally(() => {
      loop = undefined;
      // Starts the loop again for sequences that were added while the loop was ending.
      if (waiting.length > 0) resume();
    });
  };

  return {
    write(request) {
      checkIds(request.model, request.prompt);
      if (closed) throw new ConfigError({ where: "engine", must: "the engine must be open", got: "a closed engine" });
      const { entry, ended } = newEntry(request, guessing);
      if (request.draft !== undefined) guessing = entry.guessing;
      waiting.push(entry);
      resume();
      return {
        ended,
        end() {
          if (entry.ended) return;
          entry.ended = true;
          const place = waiting.indexOf(entry);
          if (place === -1) return resume();
          waiting.splice(place, 1);
          settle(entry);
        },
        pause(paused) {
          entry.paused = paused;
          if (!paused) resume();
        },
        guesses: () => ({ guessed: entry.guessing.guessed, accepted: entry.guessing.accepted }),
      };
    },
    counts: () => ({
      ...counts,
      running: running.filter(({ ended }) => !ended).length,
      waiting: waiting.length,
      pagesInUse: pages.used - pages.prefixes.idle,
      pagesKept: pages.prefixes.idle,
      pagesMost: pages.limit,
    }),
    async close() {
      if (closed) return;
      closed = true;
      wake?.();
      await loop;
      for (const entry of [...running, ...waiting]) if (!entry.ended || entry.sequence !== null) settle(entry);
      room.close();
    },
  };
};
