import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import { createPageMemory, type PageMemory, pageBytes } from "./page-memory.ts";
import { createPages, type Pages } from "./pages.ts";
import { createPasses, type Passes } from "./passes.ts";
import { windowPages } from "./window-pages.ts";

/** Resources that the sequences of an engine share: pages, and the passes of each model over them. */
export interface Room {
  readonly memory: PageMemory;
  readonly pages: Pages;
  /**
   * The passes of the engine's model or a view of it. If the weights have changed, cached prefixes of the model are
   * dropped.
   */
  passesFor(model: Model): Passes;
  close(): void;
}

/** Maximum number of models and views with passes. Each has temporaries, and a view may exist for one text only. */
const mostModels = 16;
/** Initial number of pages. */
const firstPages = 16;
/**
 * Initial bytes of pages on the native backend, where memory costs nothing until it is written. Growing later copies
 * all pages, which delays all texts by tenths of a second.
 */
const firstBytes = 2 ** 28;

/** Counts the changes of a model's weights and of its adapter's weights. */
const changesOf = ({ arena, adapter }: Model): number => arena.changes.count + (adapter?.arena.changes.count ?? 0);

/**
 * @param cacheBytes maximum number of bytes of keys and values. One context of the model (or, with attention windows,
 * what they reach) always fits, even if it is larger.
 */
export const createRoom = (model: Model, cacheBytes: number): Room => {
  const contextPages = Math.ceil(model.config.contextLength / pageRows);
  const least = Math.min(contextPages, windowPages(model.config)?.most ?? contextPages);
  const limit = Math.max(Math.floor(cacheBytes / pageBytes(model)), least);
  const free = model.backend.name === "native" ? Math.floor(firstBytes / pageBytes(model)) : 0;
  const memory = createPageMemory(model, Math.min(limit, Math.max(firstPages, free)));
  const pages = createPages(memory, limit);
  const all = new Map<Model, { readonly passes: Passes; readonly changes: number }>();
  /** The most recently used passes. */
  let last: { readonly of: Model; readonly passes: Passes; readonly changes: number } | undefined;
  return {
    memory,
    pages,
    passesFor(of) {
      const changes = changesOf(of);
      if (last?.of === of && last.changes === changes) return last.passes;
      const { passes, changes: before } = all.get(of) ?? { passes: createPasses(of, memory), changes };
      if (before !== changes) pages.prefixes.forget(of);
      // Moves them to the end: the first ones are the least recently used.
      all.delete(of);
      all.set(of, { passes, changes });
      last = { of, passes, changes };
      const [oldest] = all.keys();
      if (all.size > mostModels && oldest !== undefined) {
        all.get(oldest)?.passes.close();
        all.delete(oldest);
        pages.prefixes.forget(oldest);
      }
      return passes;
    },
    close() {
      if (model.backend.isClosed()) return;
      for (const { passes } of all.values()) passes.close();
      memory.free();
    },
  };
};
