/** A text that an engine writes, and the pages that it has. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { Piece } from "./passes.ts";
import type { PrefixTree } from "./prefix-tree.ts";
import { type Computed, openSequencePages, type SequenceRoom } from "./sequence-pages.ts";
import { pagesBefore, type WindowPages, windowPages } from "./window-pages.ts";

/** See `SequenceRequest`. Promises of the texts of a pass are awaited together; how long they take is weighed against what they save. */
export type Draft = (ids: readonly number[], most: number) => readonly number[] | Promise<readonly number[]>;

/** What is asked of a sequence. */
export interface SequenceRequest {
  /** Of the engine's model, or a view of it with an adapter. */
  readonly model: Model;
  /** Tokens to continue, one or more. */
  readonly prompt: readonly number[];
  /** Most tokens that may follow. */
  readonly maxNewTokens: number;
  /**
   * Takes the logits that follow all tokens so far; they are others after the call.
   * @returns the token that comes next; null ends the sequence.
   */
  readonly choose: (logits: Float32Array) => number | null;
  /**
   * Guesses the tokens that follow `ids`, all tokens so far: `most` of them, or fewer. It is asked before a pass that writes a token. A
   * guess comes true exactly if `choose` takes it, so no guess changes the text. Absent: nothing is guessed.
   */
  readonly draft?: Draft | undefined;
  /**
   * How many positions are dropped when the text outgrows the context: a multiple of `pageRows`. The first page stays, what follows
   * the dropped ones moves up, and nothing is computed again. Of a causal model with rotations. Default 0: the window of the last
   * tokens is computed again for each token.
   */
  readonly slide?: number | undefined;
  /** true: every step computes the whole window, and no keys and values are kept. Same bits, slower. Default false. */
  readonly recomputes?: boolean | undefined;
  /** Takes the logits after tokens of the prompt, in order, but the last one's. Absent: they are not wanted. */
  readonly readPrompt?: ((logits: Float32Array) => void) | undefined;
  /** The first token of the prompt after which they are wanted: those before it may be in memory. Default 0. */
  readonly readFrom?: number | undefined;
}

const pagesFor = (positions: number): number => Math.ceil(positions / pageRows);

/** A sequence that has been let in. */
export interface Sequence {
  readonly request: SequenceRequest;
  /** The prompt and what was written. */
  readonly ids: number[];
  /** Tokens at its end that are not computed, at most the context length. */
  readonly missing: number;
  /** Whether what is missing is one token that follows others. */
  readonly isWriting: boolean;
  /** Tokens that may be guessed after those that there are. */
  readonly mostGuesses: number;
  /**
   * The next positions to compute, at most `most` of them.
   * @param guesses tokens that may follow, at most `mostGuesses`: their positions are computed too, and the logits after each.
   */
  piece(most: number, guesses?: readonly number[]): Piece;
  /**
   * Notes that a piece was computed.
   * @param count its first positions, whose tokens are those of the sequence. Default: all.
   */
  done(piece: Piece, count?: number): void;
  /** Adds a token. */
  append(id: number): void;
  /**
   * Another sequence that goes on from the same computed tokens with others: whole pages are shared, the last one is copied. Not past
   * the context.
   * @param more tokens that follow, one or more.
   * @returns null if there are no pages for it.
   */
  fork(more: readonly number[]): Sequence | null;
  /** Gives its pages back. What it has computed stays for others. */
  close(): void;
}

const nothing: Computed = { path: [], part: null };

/** What is in memory of the first `most` tokens. */
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
 * Lets a sequence in, if there will be pages for all of it.
 * @param computedBefore what is computed of it. Default: what is in memory.
 * @returns null if there are not.
 */
export const openSequence = (
  room: SequenceRoom,
  request: SequenceRequest,
  computedBefore?: Computed,
): Sequence | null => {
  const { model, prompt, maxNewTokens, readPrompt, readFrom = 0, slide = 0, recomputes = false } = request;
  const { contextLength, mask } = model.config;
  // Without a mask an earlier position changes with each new one: all are computed again, and nothing is kept.
  const keeps = mask === "causal" && !recomputes;
  /** What its windows reach, if all layers have one: pages before that are dropped. */
  const window = keeps ? windowPages(model.config) : null;
  /** Positions that stay at the beginning of a window that slides. */
  const stays = slide > 0 ? pageRows : 0;
  // The last token is written, not read.
  const longest = prompt.length + maxNewTokens - 1;
  const outgrows = longest > contextLength;
  const ids = [...prompt];
  /** Tokens before the window, or dropped from it. */
  let base = Math.max(0, ids.length - contextLength);
  // A token must be computed for its logits.
  const reusable = Math.min(ids.length - 1, readPrompt === undefined ? ids.length : readFrom);
  const isWhole = base === 0 && !(outgrows && slide > 0);
  const found =
    computedBefore ?? (keeps && isWhole ? computedIn(room.pages.prefixes, model, ids, reusable, window) : nothing);
  const most = keeps ? pagesFor(Math.min(longest, contextLength)) : 0;
  const opened = openSequencePages(room, model, found, most, outgrows, window?.most ?? null);
  if (opened === null) return null;
  const { own } = opened;
  let computed = opened.positions;
  /** The next token of the prompt whose logits are wanted. */
  let wanted = readPrompt === undefined ? ids.length : readFrom;

  /** Tokens of positions: those after the ones that stay are the last of all. */
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
      // The last token is not read, so its guess would be of no use.
      const together = window === null ? contextLength : window.mostPositions - 1;
      return Math.min(prompt.length + maxNewTokens - ids.length - 1, contextLength - (ids.length - base), together);
    },
    piece(mostPositions, guesses = []) {
      if (guesses.length > 0) {
        const pages = own.first(pagesFor(computed + 1 + guesses.length));
        return { ids: [...tokensAt(computed, computed + 1), ...guesses], start: computed, pages, wants: "all" };
      }
      const at = base + computed;
      // Up to the first token whose logits are wanted, or from there on.
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
      // Every position is another now.
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
