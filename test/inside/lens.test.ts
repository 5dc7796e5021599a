import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { lensOf } from "#foretoken/inside/lens.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { byHand, softmax } from "./by-hand.ts";
import { ids, kinds, rotary, text, tokenizer, vocabSize, weightsOf, withAdapter, withModel } from "./models.ts";

forEachBackend("the logit lens", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open(2);
  });
  afterAll(() => backend.close());

  describe.each(kinds)("%s", (_, config) => {
    it("reads every place as plain loops in double precision do, and leaves nothing behind", async () => {
      const lm = withModel(backend, config);
      const { stream, logits } = byHand(config, ids, await weightsOf(lm.model));
      const held = backend.bytesInUse();
      const found = await lensOf(lm, text, { top: vocabSize });
      expect(backend.bytesInUse()).toBe(held);
      expect(found.map(({ position, token }) => [position, token.text])).toEqual([...text].map((c, t) => [t, c]));
      const places = stream.map(logits);
      const tolerance = forwardError({ ...config, vocabSize }) * largest(places.flatMap((rows) => rows.map(largest)));
      for (const { position, readings } of found) {
        expect(readings.map(({ stage }) => stage)).toEqual([
          { kind: "embedding" },
          ...Array.from({ length: config.nLayer }, (_, layer) => layer).flatMap((layer) => [
            { kind: "attention", layer },
            { kind: "mlp", layer },
          ]),
        ]);
        for (const [place, { top, next }] of readings.entries()) {
          const wanted = softmax(places[place]?.[position] ?? []);
          const own = new Float64Array(vocabSize);
          for (const { id, probability, text: name } of top) {
            own[id] = probability;
            expect(name).toBe(tokenizer.token(id));
          }
          // A probability changes by at most twice the change of the logits.
          expectClose("lens", [furthest(`position ${position}, place ${place}`, own, wanted, 2 * tolerance)]);
          expect(top.map(({ probability }) => probability)).toEqual([...own].sort((a, b) => b - a));
          const target = ids[position + 1];
          if (target === undefined) expect(next).toBeNull();
          else {
            const rank = 1 + top.findIndex(({ id }) => id === target);
            expect(next).toEqual({ id: target, text: text[position + 1], probability: own[target], rank });
          }
        }
      }
      await lm.close();
    });

    it("ends with the model's own logits, to the bit", async () => {
      const lm = withModel(backend, config);
      const { data } = await lm.logits(ids);
      const places = [ids.length - 1, 0, 5];
      const found = await lensOf(lm, ids, { positions: places, top: vocabSize });
      for (const [i, position] of places.entries()) {
        const row = Float64Array.from(data.subarray(position * vocabSize, (position + 1) * vocabSize));
        const highest = Math.max(...row);
        const sum = row.reduce((total, logit) => total + Math.exp(logit - highest), 0);
        const last = found[i]?.readings.at(-1)?.top ?? [];
        expect(last).toHaveLength(vocabSize);
        for (const { id, probability } of last) {
          expect(probability).toBe(Math.exp((row[id] as number) - highest) / sum);
        }
      }
      await lm.close();
    });
  });

  it("reads a model with an adapter, and ends with its logits", async () => {
    const { lm } = withAdapter(backend, rotary);
    const [own, without] = [await lm.score(text), lm];
    const read = async (): Promise<readonly (number | undefined)[]> =>
      (await lensOf(lm, text)).map(({ readings }) => readings.at(-1)?.next?.probability);
    const found = await read();
    for (const [t, { logProb }] of own.tokens.slice(1).entries()) {
      expect(Math.log(found[t] ?? 0)).toBeCloseTo(logProb as number, 12);
    }
    without.useAdapter(null);
    expect(await read()).not.toEqual(found);
    await lm.close();
  });

  it("ends with the signal's reason", async () => {
    const lm = withModel(backend, rotary);
    await expect(lensOf(lm, text, { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
    expect(() => lm.model.close()).not.toThrow();
  });

  it("refuses what cannot be in one line", async () => {
    const lm = withModel(backend, rotary);
    await expect(lensOf(lm, text, { positions: [14] })).rejects.toThrow(
      "lensOf.positions.0: must be at most 13; got 14",
    );
    await expect(lensOf(lm, text, { top: 51 })).rejects.toThrow("lensOf.top: must be at most 50; got 51");
    await expect(lensOf(lm, text, { tops: 1 } as never)).rejects.toThrow(ConfigError);
    await lm.close();
    await expect(lensOf(lm, text)).rejects.toThrow("lensOf: the model must be open");
  });
});
