import { expect, it } from "vitest";
import { createDecoder } from "#foretoken/generate/decoder.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedIds, hashedModel, qwen3Model } from "../support/models.ts";

const config = { ...qwen3Model, contextLength: 4200, nLayer: 1, nHead: 1, nEmbd: 8 };

forEachBackend("a decoder of a long context", ({ open }) => {
  it("takes memory for what is used of it, and has the same bits when its cache has grown", async () => {
    const backend = await open(2);
    const model = hashedModel(backend, { ...config, mlp: { kind: "swiglu", hidden: 8 } }, 11);
    const ids = Array.from(hashedIds("long", 2052, 11));
    const whole = createDecoder(model, false);
    const cached = createDecoder(model);
    const before = backend.bytesInUse();
    for (const length of [2046, 2047, 2048, 2049, 2050, 2052]) {
      const upTo = ids.slice(0, length);
      expect(await cached.next(upTo)).toEqual(await whole.next(upTo));
    }
    expect(backend.bytesInUse()).toBeGreaterThan(before);
    cached.close();
    whole.close();
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });
});
