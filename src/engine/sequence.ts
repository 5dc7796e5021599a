/** A text that an engine writes, and the pages that it has. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { PageMemory } from "./page-memory.ts";
import type { Pages } from "./pages.ts";
import type { Piece } from "./passes.ts";
import type { PrefixNode } from "./prefix-tree.ts";

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
  /** Gives its pages back. What it has computed stays for others. */
  close(): void;
}

/** What a sequence needs of its engine. */
export interface SequenceRoom {
  readonly pages: Pages;
  readonly memory: PageMemory;
}

/**
 * Lets a sequence in, if there will be pages for all of it.
 * @returns null if there are not.
 */
export const openSequence = ({ pages, memory }: SequenceRoom, request: SequenceRequest): Sequence | null => {
  const { model, prompt, maxNewTokens, readPrompt, readFrom = 0 } = request;
  const { contextLength, mask } = model.config;
  const { prefixes } = pages;
  // Without a mask an earlier position changes with each new one: all are computed again, and nothing is kept.
  const keeps = mask === "causal";
  // The last token is written, not read.
  const longest = prompt.length + maxNewTokens - 1;
  const slides = longest > contextLength;
  const ids = [...prompt];
  let base = Math.max(0, ids.length - contextLength);
  // A token must be computed for its logits.
  const reusable = Math.min(ids.length - 1, readPrompt === undefined ? ids.length : readFrom);
  const found = keeps && base === 0 ? prefixes.find(model, ids, reusable) : { path: [], part: null };
  prefixes.hold(found.path);
  // Pages that are shared are replaced when the window slides.
  let promised = keeps ? pagesFor(Math.min(longest, contextLength)) - (slides ? 0 : found.path.length) : 0;
  if (!pages.promise(promised)) {
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

  if (found.part !== null) {
    const { node, rows } = found.part;
    // Held, so that the page that is taken is not this one.
    prefixes.hold([node]);
    try {
      takePage();
      memory.copy(node.page, own[0] as number, rows);
    } catch (error) {
      close();
      throw error;
    } finally {
      prefixes.release([node]);
    }
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
        ids: ids.slice(at, at + count),
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
      // Every position is another now.
      base = ids.length - contextLength;
      computed = 0;
      prefixes.release(path);
      path = [];
    },
    close,
  };
};
