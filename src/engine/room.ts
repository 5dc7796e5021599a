import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import { createPageMemory, type PageMemory, pageBytes } from "./page-memory.ts";
import { createPages, type Pages } from "./pages.ts";
import { createPasses, type Passes } from "./passes.ts";
import { windowPages } from "./window-pages.ts";

/** What the sequences of an engine share: pages, and the passes of each model over them. */
export interface Room {
  readonly memory: PageMemory;
  readonly pages: Pages;
  /** Of the engine's model, or a view of it. What was kept of one whose weights have changed since is forgotten. */
  passesFor(model: Model): Passes;
  close(): void;
}

/** Models and views that are known at a time: each has temporaries, and a view may be made for one text. */
const mostModels = 16;
/** Pages that there is memory for at first. */
const firstPages = 16;
/**
 * Bytes of them where memory that nobody has written to costs nothing: more is copied when it is needed, which holds up all texts for
 * tenths of a second.
 */
const firstBytes = 2 ** 28;

/** The number of times that a model's weights have changed, and its adapter's. */
const changesOf = ({ arena, adapter }: Model): number => arena.changes.count + (adapter?.arena.changes.count ?? 0);

/** @param cacheBytes of keys and values at most, but for one context of the model, or what its windows reach of it. */
export const createRoom = (model: Model, cacheBytes: number): Room => {
  const contextPages = Math.ceil(model.config.contextLength / pageRows);
  const least = Math.min(contextPages, windowPages(model.config)?.most ?? contextPages);
  const limit = Math.max(Math.floor(cacheBytes / pageBytes(model)), least);
  const free = model.backend.name === "native" ? Math.floor(firstBytes / pageBytes(model)) : 0;
  const memory = createPageMemory(model, Math.min(limit, Math.max(firstPages, free)));
  const pages = createPages(memory, limit);
  const all = new Map<Model, { readonly passes: Passes; readonly changes: number }>();
  /** The one that was used last. */
  let last: { readonly of: Model; readonly passes: Passes; readonly changes: number } | undefined;
  return {
    memory,
    pages,
    passesFor(of) {
      const changes = changesOf(of);
      if (last?.of === of && last.changes === changes) return last.passes;
      const { passes, changes: before } = all.get(of) ?? { passes: createPasses(of, memory), changes };
      if (before !== changes) pages.prefixes.forget(of);
      // The one that was used longest ago is the first.
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
