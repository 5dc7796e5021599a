import { expect, it } from "vitest";
import { sizeOf } from "#foretoken/core/tensors/shape.js";
import { createSequenceEngine } from "#foretoken/engine/engine.js";
import { pageBytes } from "#foretoken/engine/page-memory.js";
import { windowPages } from "#foretoken/engine/window-pages.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedIds, hashedModel, qwen3Model } from "../support/models.ts";
import { logitsAfter, logitsOfText } from "../support/texts.ts";

const vocabSize = 11;
const config: ModelConfig = {
  ...{ ...qwen3Model, contextLength: 1024, nLayer: 2, nHead: 2, nEmbd: 8 },
  mlp: { kind: "swiglu", hidden: 8 },
  window: { size: 40 },
};
const greedy = (logits: Float32Array): number => logits.indexOf(Math.max(...logits));

it("pages before the windows are dropped where every layer has one", () => {
  expect(windowPages(config)).toEqual({ size: 40, mostPositions: 256, most: 12 });
  expect(windowPages({ ...config, window: { size: 40, fullEvery: 2 } })).toBeNull();
  expect(windowPages({ ...config, window: { size: 40, fullEvery: 3 } })?.size).toBe(40);
  const { window: _, ...without } = config;
  expect(windowPages(without)).toBeNull();
});

forEachBackend("a text whose layers all have windows", ({ open }) => {
  it("keeps the pages of its window, and has the bits of one pass over all of it", async () => {
    const backend = await open(2);
    const model = hashedModel(backend, config, vocabSize);
    // A whole context would need 32 pages.
    const engine = createSequenceEngine(model, {
      cacheBytes: 1,
      maxSequences: 4,
      pace: { positions: () => 64, note() {} },
    });
    expect(engine.counts().pagesMost).toBe(12);
    const prompt = Array.from(hashedIds("long", 900, vocabSize));
    const seen: Float32Array[] = [];
    let most = 0;
    const choose = (logits: Float32Array): number => {
      seen.push(logits.slice());
      most = Math.max(most, engine.counts().pagesInUse);
      return greedy(logits);
    };
    const maxNewTokens = 70;
    await engine.write({ model, prompt, maxNewTokens, choose }).ended;
    const ids = [...prompt, ...seen.map(greedy)];
    const whole = await logitsOfText(model, ids);
    expect(seen).toEqual(
      seen.map((_, i) => whole.slice((prompt.length + i - 1) * vocabSize, (prompt.length + i) * vocabSize)),
    );
    // These are the pages of 40 positions, and the page of the next position.
    expect(most).toBeLessThanOrEqual(3);
    const { pagesInUse, pagesKept } = engine.counts();
    expect(pagesInUse).toBe(0);
    expect(pagesKept).toBeLessThanOrEqual(20);
    // Other texts may reuse this beginning.
    const others = await Promise.all(
      [200, 500, 890].map(async (length) => {
        const written: Float32Array[] = [];
        const text = prompt.slice(0, length);
        const note = (logits: Float32Array): number => {
          written.push(logits.slice());
          return 1;
        };
        await engine.write({ model, prompt: text, maxNewTokens: 2, choose: note }).ended;
        return written;
      }),
    );
    for (const [i, length] of [200, 500, 890].entries())
      expect(others[i]?.[0]).toEqual(whole.slice((length - 1) * vocabSize, length * vocabSize));
    await engine.close();
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });

  it("reads what it has in memory of a text that goes on", async () => {
    const backend = await open(2);
    const model = hashedModel(backend, config, vocabSize);
    const engine = createSequenceEngine(model, { cacheBytes: 64 * pageBytes(model), maxSequences: 4 });
    const ids = Array.from(hashedIds("turns", 300, vocabSize));
    const after = async (length: number): Promise<Float32Array | undefined> => {
      const seen: Float32Array[] = [];
      const choose = (logits: Float32Array): null => {
        seen.push(logits.slice());
        return null;
      };
      await engine.write({ model, prompt: ids.slice(0, length), maxNewTokens: 1, choose }).ended;
      return seen[0];
    };
    const whole = await logitsOfText(model, ids);
    for (const length of [200, 230, 300]) {
      expect(await after(length)).toEqual(whole.slice((length - 1) * vocabSize, length * vocabSize));
    }
    expect(engine.counts()).toMatchObject({ computed: 300, pagesInUse: 0 });
    await engine.close();
    model.close();
    await backend.close();
  });

  it("goes on past its context, with the bits of its last tokens", async () => {
    const backend = await open(2);
    const small = { ...config, contextLength: 96 };
    const model = hashedModel(backend, small, vocabSize);
    const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
    const prompt = Array.from(hashedIds("short", 90, vocabSize));
    const seen: Float32Array[] = [];
    const choose = (logits: Float32Array): number => {
      seen.push(logits.slice());
      return greedy(logits);
    };
    await engine.write({ model, prompt, maxNewTokens: 12, choose }).ended;
    const ids = [...prompt, ...seen.map(greedy)];
    for (const [i, logits] of seen.entries())
      expect(logits).toEqual(await logitsAfter(model, ids.slice(0, prompt.length + i)));
    expect(engine.counts()).toMatchObject({ running: 0, pagesInUse: 0 });
    await engine.close();
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });

  it.each([64, 224])("slides by %i positions with the bits of a text that keeps all pages", async (slide) => {
    const backend = await open(2);
    const prompt = Array.from(hashedIds("slide", 230, vocabSize));
    // The second layer's attention does not change the result. So the window of this layer changes only the kept pages.
    const written = async (window: ModelConfig["window"]) => {
      const small = { ...config, contextLength: 256, window };
      const model = hashedModel(backend, small, vocabSize);
      const silent = modelLayout(small, vocabSize).parameters.find(
        ({ name }) => name === "blocks.1.attention.projection.weight",
      );
      if (silent === undefined) throw new Error("a block has a projection");
      backend.write(model.arena.storage, new Float32Array(sizeOf(silent.shape)), silent.offset);
      const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
      const seen: Float32Array[] = [];
      let most = 0;
      const choose = (logits: Float32Array): number => {
        seen.push(logits.slice());
        most = Math.max(most, engine.counts().pagesInUse);
        return greedy(logits);
      };
      await engine.write({ model, prompt, maxNewTokens: 120, choose, slide }).ended;
      expect(engine.counts()).toMatchObject({ pagesInUse: 0 });
      await engine.close();
      model.close();
      return { seen, most };
    };
    const dropping = await written({ size: 40 });
    const keeping = await written({ size: 40, fullEvery: 2 });
    expect(dropping.seen).toEqual(keeping.seen);
    expect(keeping.most).toBe(8);
    // These are the pages of the window, the page of the next position, and the first page.
    expect(dropping.most).toBeLessThanOrEqual(4);
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });
});
