/** A text that an engine writes, and the pages that it has. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { PageMemory } from "./page-memory.ts";
import type { Pages } from "./pages.ts";
import type { Piece } from "./passes.ts";
import type { PrefixNode, PrefixTree } from "./prefix-tree.ts";

/** What is asked of a sequence. */
export interface SequenceRequest {
  /** Of the engine's model, or a view of it with an adapter. */
  readonly model: Model;
  /** Tokens to continue, one or more. */
  readonly prompt: readonly number[];
  /** Most tokens that may follow. */
  readonly maxNewTokens: number;
  /**
   * Takes the logits that follow all tokens so far.
   * @returns the token that comes next; null ends the sequence.
   */
  readonly choose: (logits: Float32Array) => number | null;
  /**
   * How many positions are dropped when the text outgrows the context: a multiple of `pageRows`. The first page stays, what follows
   * the dropped ones moves up, and nothing is computed again. Of a causal model with rotations. Default 0: the window of the last
   * tokens is computed again for each token.
   */
  readonly slide?: number | undefined;
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
  /** The next positions to compute, at most `most` of them. */
  piece(most: number): Piece;
  /** Notes that a piece was computed. */
  done(piece: Piece): void;
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

/** What a sequence needs of its engine. */
export interface SequenceRoom {
  readonly pages: Pages;
  readonly memory: PageMemory;
}

/** What is computed already of a sequence that is let in. */
interface Computed {
  /** Whole pages. */
  readonly path: readonly PrefixNode[];
  /** A page of which the first rows are copied; `node` null: it is in no tree. */
  readonly part: { readonly node: PrefixNode | null; readonly page: number; readonly rows: number } | null;
}

const nothing: Computed = { path: [], part: null };

/** What is in memory of the first `most` tokens. */
const computedIn = (prefixes: PrefixTree, model: Model, ids: readonly number[], most: number): Computed => {
  const { path, part } = prefixes.find(model, ids, most);
  return { path, part: part === null ? null : { ...part, page: part.node.page } };
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
  const { pages, memory } = room;
  const { model, prompt, maxNewTokens, readPrompt, readFrom = 0, slide = 0 } = request;
  const { contextLength, mask } = model.config;
  const { prefixes } = pages;
  // Without a mask an earlier position changes with each new one: all are computed again, and nothing is kept.
  const keeps = mask === "causal";
  /** Positions that stay at the beginning of a window that slides. */
  const stays = slide > 0 ? pageRows : 0;
  // The last token is written, not read.
  const longest = prompt.length + maxNewTokens - 1;
  const slides = longest > contextLength;
  const ids = [...prompt];
  let base = Math.max(0, ids.length - contextLength);
  // A token must be computed for its logits.
  const reusable = Math.min(ids.length - 1, readPrompt === undefined ? ids.length : readFrom);
  const isWhole = base === 0 && !(slides && slide > 0);
  const found = computedBefore ?? (keeps && isWhole ? computedIn(prefixes, model, ids, reusable) : nothing);
  // Pages that are shared are replaced when the window slides.
  let promised = keeps ? pagesFor(Math.min(longest, contextLength)) - (slides ? 0 : found.path.length) : 0;
  // Held, so that no page that it takes is one of these.
  prefixes.hold(found.path);
  let { part } = found;
  const partPath = (): PrefixNode[] => (part === null || part.node === null ? [] : [part.node]);
  prefixes.hold(partPath());
  let isPromised = pages.promise(promised);
  if (part !== null && !isPromised) {
    // It may need this very page.
    prefixes.release(partPath());
    part = null;
    isPromised = pages.promise(promised);
  }
  if (!isPromised) {
    prefixes.release(found.path);
    return null;
  }
  /** Shared pages, and those of its own that follow. */
  let path: PrefixNode[] = [...found.path];
  const own: number[] = [];
  let computed = path.length * pageRows;
  /** The next token of the prompt whose logits are wanted. */
  let wanted = readPrompt === undefined ? ids.length : readFrom;

  const takePage = (): void => {
    own.push(pages.take());
    promised--;
  };
  /** Tokens of positions: those after the ones that stay are the last of all. */
  const tokensAt = (from: number, to: number): number[] => [
    ...ids.slice(from, Math.min(to, stays)),
    ...ids.slice(base + Math.max(from, stays), base + Math.max(to, stays)),
  ];
  const tokensOf = (page: number, count: number): number[] => ids.slice(page * pageRows, page * pageRows + count);
  /** Makes the first of its own pages known to others. */
  const share = (count: number): void => {
    const page = own.shift() as number;
    const node = prefixes.add(model, path.at(-1) ?? null, tokensOf(path.length, count), page);
    if (node.page !== page) pages.give(page);
    path.push(node);
  };
  const close = (): void => {
    const rest = computed - path.length * pageRows;
    if (keeps && !slides && rest > 0 && own.length > 0) share(rest);
    for (const page of own.splice(0)) pages.give(page);
    pages.forgo(promised);
    promised = 0;
    prefixes.release(path);
    path = [];
  };

  if (part !== null) {
    const { page, rows } = part;
    try {
      takePage();
      memory.copy(page, own[0] as number, rows);
    } catch (error) {
      prefixes.release(partPath());
      close();
      throw error;
    }
    prefixes.release(partPath());
    computed += rows;
  }

  return {
    request,
    ids,
    get missing() {
      return ids.length - base - computed;
    },
    get isWriting() {
      return computed > 0 && ids.length - base - computed === 1;
    },
    piece(most) {
      const missing = ids.length - base - computed;
      // Up to the first token whose logits are wanted, or from there on.
      const before = base + computed < wanted ? wanted - base - computed : missing;
      const count = keeps ? Math.min(most, missing, before) : missing;
      const needed = keeps ? pagesFor(computed + count) : 0;
      while (path.length + own.length < needed) takePage();
      const at = base + computed;
      return {
        ids: tokensAt(computed, computed + count),
        start: computed,
        pages: keeps ? [...path.map(({ page }) => page), ...own].slice(0, needed) : null,
        wants: at === wanted && wanted < prompt.length ? "all" : count === missing ? "last" : "none",
      };
    },
    done({ ids: fresh, wants }) {
      computed += fresh.length;
      if (wants === "all") wanted += fresh.length;
      if (!keeps || slides) return;
      while ((path.length + 1) * pageRows <= computed) share(pageRows);
    },
    append(id) {
      ids.push(id);
      if (!keeps) computed = 0;
      if (ids.length - base <= contextLength) return;
      if (keeps && slide > 0) {
        const dropped = own.splice(1, slide / pageRows);
        computed -= slide;
        base += slide;
        memory.moveBack(own.slice(1, pagesFor(computed)), slide);
        own.push(...dropped);
        return;
      }
      // Every position is another now.
      base = ids.length - contextLength;
      computed = 0;
      prefixes.release(path);
      path = [];
    },
    fork(more) {
      const rest = computed - path.length * pageRows;
      const [page] = own;
      const last = rest > 0 && page !== undefined ? { node: null, page, rows: rest } : null;
      const text = [...ids, ...more];
      const left = request.prompt.length + maxNewTokens - text.length;
      return openSequence(room, { ...request, prompt: text, maxNewTokens: left }, { path, part: last });
    },
    close,
  };
};
