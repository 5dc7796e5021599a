/** A sequence that an engine writes, with its pages. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { Piece } from "./passes.ts";
import type { PrefixTree } from "./prefix-tree.ts";
import { type Computed, openSequencePages, type SequenceRoom } from "./sequence-pages.ts";
import { pagesBefore, type WindowPages, windowPages } from "./window-pages.ts";

/**
 * Guesses next tokens, see `SequenceRequest.draft`. If guesses are promises, the promises of all texts of a pass are
 * awaited together. The engine compares the time for guessing with the time that guesses save.
 */
export type Draft = (ids: readonly number[], most: number) => readonly number[] | Promise<readonly number[]>;

/** Parameters of a sequence. */
export interface SequenceRequest {
  /** The engine's model, or a view of the model with an adapter. */
  readonly model: Model;
  /** Tokens to continue: one or more. */
  readonly prompt: readonly number[];
  /** Maximum number of tokens to write. */
  readonly maxNewTokens: number;
  /**
   * Chooses the next token from the logits after all tokens so far. The buffer is reused after the call.
   * @returns the next token, or null to end the sequence.
   */
  readonly choose: (logits: Float32Array) => number | null;
  /**
   * Guesses at most `most` tokens that follow `ids`, which contains all tokens so far. The function is called before a
   * pass that writes a token. A guess is used only if `choose` chooses the same token, so guesses never change the
   * text. If absent, nothing is guessed.
   */
  readonly draft?: Draft | undefined;
  /**
   * Number of positions to drop when the text outgrows the context. The number must be a multiple of `pageRows`. The
   * first page stays, later positions move forward, and nothing is computed again. The model must be causal and have
   * rotary position embeddings. Default 0: for each token the whole window is computed again.
   */
  readonly slide?: number | undefined;
  /**
   * True: every step computes the whole window without a KV cache. The results have the same bits, but need more time.
   * Default false.
   */
  readonly recomputes?: boolean | undefined;
  /**
   * Receives the logits after each prompt token except the last, in order. If absent, these logits are not computed.
   */
  readonly readPrompt?: ((logits: Float32Array) => void) | undefined;
  /**
   * Index of the first prompt token with logits for `readPrompt`. Positions of earlier tokens may already be in the KV
   * cache, and are then not computed. Default 0.
   */
  readonly readFrom?: number | undefined;
}

const pagesFor = (positions: number): number => Math.ceil(positions / pageRows);

/** A sequence that has its pages. */
export interface Sequence {
  readonly request: SequenceRequest;
  /** Tokens of the prompt and of the text. */
  readonly ids: number[];
  /**
   * Number of tokens at the end of the sequence that are not yet computed. This number is at most the context length.
   */
  readonly missing: number;
  /** Whether all tokens except exactly one are computed, and there are earlier tokens. */
  readonly isWriting: boolean;
  /** Maximum number of guesses after the current tokens. */
  readonly mostGuesses: number;
  /**
   * The next positions to compute, at most `most`.
   * @param guesses at most `mostGuesses` tokens that may follow. The pass also computes the positions of the guesses,
   * and the logits after each guess.
   */
  piece(most: number, guesses?: readonly number[]): Piece;
  /**
   * Records that a piece was computed.
   * @param count number of positions, from the beginning of the piece, that belong to the sequence. Default: all.
   */
  done(piece: Piece, count?: number): void;
  /** Adds a token. */
  append(id: number): void;
  /**
   * Creates another sequence that continues the same computed tokens with other tokens. The two sequences share whole
   * pages; the last page is copied. The sequence must not exceed the context.
   * @param more tokens that follow: one or more.
   * @returns null if not enough pages are free for the new sequence.
   */
  fork(more: readonly number[]): Sequence | null;
  /** Releases the sequence's pages. Computed pages stay in the prefix tree for other sequences. */
  close(): void;
}

const nothing: Computed = { path: [], part: null };

/** The part of the first `most` tokens that is in the KV cache. */
const computedIn = (
  prefixes: PrefixTree,
  model: Model,
  ids: readonly number[],
  most: number,
  window: WindowPages | null,
): Computed => {
  const { path, part } = prefixes.find(model, ids, most);
  const positions = path.length * pageRows + (part?.rows ?? 0);
  const gone = window === null ? 0 : pagesBefore(window, positions);
  return { path, gone, part: part === null ? null : { ...part, page: part.node.page } };
};

/**
 * Opens a sequence if all its pages can be reserved.
 * @param computedBefore the part that is already computed. Default: the part that is in the KV cache.
 * @returns null if the pages cannot be reserved.
 */
export const openSequence = (
  room: SequenceRoom,
  request: SequenceRequest,
  computedBefore?: Computed,
): Sequence | null => {
  const { model, prompt, maxNewTokens, readPrompt, readFrom = 0, slide = 0, recomputes = false } = request;
  const { contextLength, mask } = model.config;
  // Without a causal mask, each new token changes all earlier positions. So all positions are computed again, without a
  // KV cache.
  const keeps = mask === "causal" && !recomputes;
  /**
   * Number of positions that the attention windows reach, if all layers have a window. Pages before the window are
   * dropped.
   */
  const window = keeps ? windowPages(model.config) : null;
  /** Number of first positions that stay when the window slides. */
  const stays = slide > 0 ? pageRows : 0;
  // The model never reads the last token that it writes.
  const longest = prompt.length + maxNewTokens - 1;
  const outgrows = longest > contextLength;
  const ids = [...prompt];
  /** Number of tokens that are before the window or were dropped from it. */
  let base = Math.max(0, ids.length - contextLength);
  // At least one token must be computed to get logits.
  const reusable = Math.min(ids.length - 1, readPrompt === undefined ? ids.length : readFrom);
  const isWhole = base === 0 && !(outgrows && slide > 0);
  const found =
    computedBefore ?? (keeps && isWhole ? computedIn(room.pages.prefixes, model, ids, reusable, window) : nothing);
  const most = keeps ? pagesFor(Math.min(longest, contextLength)) : 0;
  const opened = openSequencePages(room, model, found, most, outgrows, window?.most ?? null);
  if (opened === null) return null;
  const { own } = opened;
  let computed = opened.positions;
  /** Index of the next prompt token with logits for `readPrompt`. */
  let wanted = readPrompt === undefined ? ids.length : readFrom;

  /**
   * Tokens at positions of the window. The positions after the first `stays` positions contain the last tokens of the
   * text.
   */
  const tokensAt = (from: number, to: number): number[] => {
    const later = ids.slice(base + Math.max(from, stays), base + Math.max(to, stays));
    return from < stays ? [...ids.slice(from, Math.min(to, stays)), ...later] : later;
  };
  const missing = (): number => ids.length - base - computed;

  return {
    request,
    ids,
    get missing() {
      return missing();
    },
    get isWriting() {
      return computed > 0 && missing() === 1;
    },
    get mostGuesses() {
      if (!keeps || computed === 0 || missing() !== 1 || wanted < prompt.length) return 0;
      // The model never reads the last token that it writes. So a guess after this token would be useless.
      const together = window === null ? contextLength : window.mostPositions - 1;
      return Math.min(prompt.length + maxNewTokens - ids.length - 1, contextLength - (ids.length - base), together);
    },
    piece(mostPositions, guesses = []) {
      if (guesses.length > 0) {
        const pages = own.first(pagesFor(computed + 1 + guesses.length));
        return { ids: [...tokensAt(computed, computed + 1), ...guesses], start: computed, pages, wants: "all" };
      }
      const at = base + computed;
      // A piece must not cross the first token with wanted logits. The piece ends before this token, or begins at this
      // token or later.
      const before = at < wanted ? wanted - at : missing();
      const together = Math.min(mostPositions, window?.mostPositions ?? mostPositions);
      const count = keeps ? Math.min(together, missing(), before) : missing();
      return {
        ids: tokensAt(computed, computed + count),
        start: computed,
        pages: keeps ? own.first(pagesFor(computed + count)) : null,
        wants: at === wanted && wanted < prompt.length ? "all" : count === missing() ? "last" : "none",
      };
    },
    done({ ids: fresh, wants }, count = fresh.length) {
      computed += count;
      if (wants === "all" && wanted < prompt.length) wanted += count;
      if (!keeps) return;
      for (let page = own.shared; !outgrows && (page + 1) * pageRows <= computed; page++)
        own.share(ids.slice(page * pageRows, (page + 1) * pageRows));
      if (window !== null) own.drop(pagesBefore(window, computed), outgrows && stays > 0);
    },
    append(id) {
      ids.push(id);
      if (!keeps) computed = 0;
      if (ids.length - base <= contextLength) return;
      if (keeps && slide > 0) {
        computed -= slide;
        base += slide;
        own.slide(slide / pageRows, pagesFor(computed));
        return;
      }
      // Every token gets a new position, so all positions are computed again.
      base = ids.length - contextLength;
      computed = 0;
      own.unshare();
    },
    fork(more) {
      const text = [...ids, ...more];
      const left = prompt.length + maxNewTokens - text.length;
      return openSequence(room, { ...request, prompt: text, maxNewTokens: left }, own.computed(computed));
    },
    close() {
      const from = own.shared * pageRows;
      if (keeps && !outgrows && computed > from && own.hasOwn) own.share(ids.slice(from, computed));
      own.close();
    },
  };
};
