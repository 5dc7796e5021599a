import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import { createPageMemory, type PageMemory, pageBytes } from "./page-memory.ts";
import { createPages, type Pages } from "./pages.ts";
import { createPasses, type Passes } from "./passes.ts";
import { windowPages } from "./window-pages.ts";

/** Resources that the sequences of an engine share: the pages, and for each model its forward passes. */
export interface Room {
  readonly memory: PageMemory;
  readonly pages: Pages;
  /**
   * The passes of the engine's model, or of one of its views. If the weights have changed, the cached prefixes of the
   * model are dropped.
   */
  passesFor(model: Model): Passes;
  close(): void;
}

/** Maximum number of models and views with passes. Passes need temporaries, and some views exist for only one text. */
const mostModels = 16;
/** Initial number of pages. */
const firstPages = 16;
/**
 * Initial bytes of pages on the native backend. On this backend, memory is free until it is written. With fewer bytes,
 * the pages would grow more often. Each growth copies all pages, which delays all texts by tenths of a second.
 */
const firstBytes = 2 ** 28;

/** Number of changes of the weights, for a model and its adapter. */
const changesOf = ({ arena, adapter }: Model): number => arena.changes.count + (adapter?.arena.changes.count ?? 0);

/**
 * @param cacheBytes maximum size of the KV cache in bytes. One context of the model is always allowed, even if it needs
 * more bytes. For a model with attention windows, the positions in the windows are always allowed.
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
      // Moves the passes to the end. The first passes are then the least recently used.
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
