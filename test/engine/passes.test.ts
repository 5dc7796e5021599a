import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { createPageMemory } from "#foretoken/engine/page-memory.js";
import { createPasses, type Piece } from "#foretoken/engine/passes.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedModel, qwen3Model } from "../support/models.ts";

const vocabSize = 11;
const config = {
  ...qwen3Model,
  contextLength: 64,
  nLayer: 1,
  nHead: 1,
  nEmbd: 8,
  mlp: { kind: "swiglu", hidden: 8 },
} as const;

/** The backend, and the number of times that calls on it were recorded. */
const counted = (backend: Backend): { readonly backend: Backend; readonly recordings: () => number } => {
  const { record } = backend;
  let count = 0;
  if (record === undefined) return { backend, recordings: () => count };
  return {
    backend: {
      ...backend,
      record(work) {
        count++;
        return record(work);
      },
    },
    recordings: () => count,
  };
};

forEachBackend("passes of single positions", ({ open }) => {
  it("records a size that is a little smaller than another only when it is used often, and has the same bits before", async () => {
    const { backend, recordings } = counted(await open(1));
    const model = hashedModel(backend, config, vocabSize);
    const pages = createPageMemory(model, 16);
    const passes = createPasses(model, pages);
    const piece = (at: number): Piece => ({ ids: [at % vocabSize], start: 0, pages: [at], wants: "last" });
    const run = async (count: number): Promise<Float32Array[]> => {
      const logits = await passes.run(Array.from({ length: count }, (_, at) => piece(at)));
      return logits.map((rows) => (rows[0] as Float32Array).slice());
    };
    const eight = await run(8);
    const first = recordings();
    const seven = await Promise.all([await run(7), await run(7)]);
    expect(recordings()).toBe(first);
    for (const each of seven) expect(each).toEqual(eight.slice(0, 7));
    // This pass has less than half the size, so it is too small to reuse the larger recording.
    expect(await run(3)).toEqual(eight.slice(0, 3));
    for (let i = 0; i < 6; i++) expect(await run(7)).toEqual(eight.slice(0, 7));
    expect(recordings()).toBe(3 * first);
    passes.close();
    pages.free();
    model.close();
    await backend.close();
  });
});
