import { expect, it } from "vitest";
import { createSequenceEngine } from "#foretoken/engine/engine.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedIds, hashedModel, qwen3Model } from "../support/models.ts";
import { growingText, logitsOfText } from "../support/texts.ts";

const vocabSize = 11;
const config = {
  ...{ ...qwen3Model, contextLength: 4200, nLayer: 1, nHead: 1, nEmbd: 8 },
  mlp: { kind: "swiglu", hidden: 8 },
} as const;

forEachBackend("a text of a long context", ({ name, open }) => {
  it("takes memory for what is used of it, and has the same bits when its cache has grown", async () => {
    const backend = await open(2);
    const model = hashedModel(backend, config, vocabSize);
    const ids = Array.from(hashedIds("long", 2052, vocabSize));
    const whole = await logitsOfText(model, ids);
    const before = backend.bytesInUse();
    const text = growingText(model);
    // The first 16 pages have space for 512 positions. After memory has doubled, there is space for 1,024 and 2,048
    // positions.
    const held: number[] = [];
    for (const length of [400, 511, 512, 513, 514, 1024, 1025, 2046, 2047, 2048, 2049, 2050, 2052]) {
      const logits = await text.next(ids.slice(0, length));
      expect(logits).toEqual(whole.slice((length - 1) * vocabSize, length * vocabSize));
      held.push(backend.bytesInUse() - before);
    }
    const [first = 0] = held;
    const last = held.at(-1) ?? 0;
    // On systems where unused memory costs nothing, all memory is allocated at the beginning.
    if (name === "native") expect(last).toBeLessThan(2 * first);
    else expect(last).toBeGreaterThan(4 * first);
    text.close();
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });

  it("reads a long prompt in pieces, with the bits of one pass", async () => {
    const backend = await open(2);
    const model = hashedModel(backend, config, vocabSize);
    const prompt = Array.from(hashedIds("long", 1100, vocabSize));
    const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
    const seen: Float32Array[] = [];
    const choose = (logits: Float32Array): number => {
      seen.push(logits.slice());
      return 1;
    };
    await engine.write({ model, prompt, maxNewTokens: 2, choose }).ended;
    const whole = await logitsOfText(model, [...prompt, 1]);
    expect(seen).toEqual([1100, 1101].map((end) => whole.slice((end - 1) * vocabSize, end * vocabSize)));
    expect(engine.counts()).toMatchObject({ computed: 1101, passes: 6 });
    await engine.close();
    model.close();
    await backend.close();
  });
});
