import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import { createPageMemory, type PageMemory, pageBytes } from "./page-memory.ts";
import { createPages, type Pages } from "./pages.ts";
import { createPasses, type Passes } from "./passes.ts";
import { windowPages } from "./window-pages.ts";

/** Resources that the sequences of an engine share: pages, and for each model the passes over these pages. */
export interface Room {
  readonly memory: PageMemory;
  readonly pages: Pages;
  /**
   * The passes of the engine's model or of a view of this model. If the weights have changed, the cached prefixes of
   * the model are dropped.
   */
  passesFor(model: Model): Passes;
  close(): void;
}

/** Maximum number of models and views with passes. Passes need temporaries, and a view may exist for one text only. */
const mostModels = 16;
/** Initial number of pages. */
const firstPages = 16;
/**
 * Initial bytes of pages on the native backend, where memory costs nothing until it is written. A small start would
 * cost time: each growth copies all pages, which delays all texts by tenths of a second.
 */
const firstBytes = 2 ** 28;

/** Number of changes of a model's weights and of its adapter's weights. */
const changesOf = ({ arena, adapter }: Model): number => arena.changes.count + (adapter?.arena.changes.count ?? 0);

/**
 * @param cacheBytes maximum number of bytes of keys and values. One context of the model always fits, even if it needs
 * more bytes. If the model has attention windows, the positions that the windows reach always fit instead.
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
      // Moves the passes to the end, so that the first passes are the least recently used.
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
