import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { generate } from "#foretoken/generate/generate.js";
import { withoutHeads } from "#foretoken/inside/heads.js";
import { lensOf } from "#foretoken/inside/lens.js";
import { mergeAdapter } from "#foretoken/models/lora/merge.js";
import { freshModel } from "#foretoken/models/model.js";
import type { LanguageModel } from "#foretoken/pretrained/model/language-model.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { wholeText } from "#foretoken/pretrained/model/whole-text.js";
import { savePretrained } from "#foretoken/pretrained/save.browser.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { byHand, lossByHand } from "./by-hand.ts";
import {
  grouped,
  ids,
  kinds,
  learned,
  rotary,
  text,
  tokenizer,
  vocabSize,
  weightsOf,
  withAdapter,
  withModel,
} from "./models.ts";

const off = [
  { layer: 1, head: 0 },
  { layer: 0, head: 1 },
];
const names = off.map(({ layer, head }) => `${layer} ${head}`);

const written = async (lm: LanguageModel, cache: boolean): Promise<string> => {
  let result = "";
  for await (const event of generate(lm, { prompt: "abc", maxNewTokens: 30, temperature: 0, cache })) {
    if (event.type === "done") result = event.text;
  }
  return result;
};

forEachBackend("heads switched off", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open(2);
  });
  afterAll(() => backend.close());

  describe.each(kinds)("%s", (_, config) => {
    it("change logits and loss as in plain loops in double precision, and nothing in the model itself", async () => {
      const lm = withModel(backend, config);
      const held = backend.bytesInUse();
      const before = await lm.logits(ids);
      const without = withoutHeads(lm, off);
      expect(backend.bytesInUse()).toBe(held);
      const found = await without.logits(ids);
      const { stream, logits } = byHand(config, ids, await weightsOf(lm.model), names);
      const rows = logits(stream.at(-1) ?? []);
      const expected = Float64Array.from(rows.flatMap((row) => [...row]));
      const tolerance = forwardError({ ...config, vocabSize }) * largest(expected);
      expectClose("logits", [furthest("logits", found.data, expected, tolerance)]);
      expect(furthest("before", before.data, expected, tolerance).ratio).toBeGreaterThan(1);
      const { mean } = await without.score(text);
      // The last token is only a target. Without a mask, the other positions would see it if the model read it.
      const scored = byHand(config, ids.slice(0, -1), await weightsOf(lm.model), names);
      const loss = lossByHand(scored.logits(scored.stream.at(-1) ?? []), ids);
      expectClose("loss", [furthest("loss", [-mean], [loss], 2 * tolerance)]);
      const { natsPerToken } = await evaluateCorpus(without, ...wholeText({ text }));
      expect(natsPerToken).toBeCloseTo(-mean, 5);
      expect((await lm.logits(ids)).data).toEqual(before.data);
      await without.close();
      expect(backend.bytesInUse()).toBe(held);
      expect((await lm.logits(ids)).data).toEqual(before.data);
      await lm.close();
    });
  });

  it("leave of a layer's attention its bias alone, if all are off", async () => {
    const lm = withModel(backend, learned);
    const { nHead: heads, nEmbd } = learned;
    const none = withoutHeads(
      lm,
      Array.from({ length: heads }, (_, head) => ({ layer: 1, head })),
    );
    const bias = (await weightsOf(lm.model))("blocks.1.attention.projection.bias") ?? [];
    expect(largest(bias)).toBeGreaterThan(0);
    // A projection with zeros has the same effect as switching the head off.
    const { offset, size } = lm.model.layout.parameters.find(
      ({ name }) => name === "blocks.1.attention.projection.weight",
    ) as { offset: number; size: number };
    expect(size).toBe(nEmbd * nEmbd);
    const found = await none.logits(ids);
    lm.model.writeWeights(new Float32Array(size), offset);
    expect((await lm.logits(ids)).data).toEqual(found.data);
    await lm.close();
  });

  it("write one text with and without the cache, and stay off in what is made of the result", async () => {
    const lm = withModel(backend, grouped);
    const first = withoutHeads(lm, [off[0] as never]);
    const both = withoutHeads(first, [off[1] as never, off[1] as never]);
    const text = await written(both, true);
    expect(text).toHaveLength(30);
    expect(await written(both, false)).toBe(text);
    expect(await written(withoutHeads(lm, off), true)).toBe(text);
    expect((await both.logits(ids)).data).toEqual((await withoutHeads(lm, off).logits(ids)).data);
    expect((await both.logits(ids)).data).not.toEqual((await first.logits(ids)).data);
    expect((await withoutHeads(lm, []).logits(ids)).data).toEqual((await lm.logits(ids)).data);
    // The logit lens uses the model without the heads.
    const read = await lensOf(both, ids, { positions: [3], top: vocabSize });
    const { tokens } = await both.score(ids.slice(0, 5));
    expect(Math.log(read[0]?.readings.at(-1)?.next?.probability ?? 0)).toBeCloseTo(tokens[4]?.logProb ?? 0, 12);
    await lm.close();
  });

  it("are off beside an adapter, whose part is in the result", async () => {
    const { lm, base, adapted } = withAdapter(backend, rotary);
    const found = await withoutHeads(lm, off).logits(ids);
    await mergeAdapter(adapted);
    lm.useAdapter(null);
    const { stream, logits } = byHand(rotary, ids, await weightsOf(base), names);
    const expected = Float64Array.from(logits(stream.at(-1) ?? []).flatMap((row) => [...row]));
    const tolerance = 2 * forwardError({ ...rotary, vocabSize }) * largest(expected);
    expectClose("adapted", [furthest("logits", found.data, expected, tolerance)]);
    await lm.close();
  });

  it("refuse a head that there is not, to be saved, and work after the model is closed", async () => {
    const lm = languageModel(freshModel(backend, { ...learned, nHead: 2 }, vocabSize, 1), tokenizer);
    expect(() => withoutHeads(lm, [{ layer: 0, head: 2 }])).toThrow(
      "withoutHeads: heads.0.head: must be at most 1; got 2",
    );
    expect(() => withoutHeads(lm, [{ layer: 2, head: 0 }])).toThrow(ConfigError);
    const without = withoutHeads(lm, [{ layer: 0, head: 0 }]);
    await expect(savePretrained(without)).rejects.toThrow("the model must have all of its heads");
    await expect(savePretrained(withoutHeads(lm, []))).resolves.toBeDefined();
    await lm.close();
    await expect(without.score(text)).rejects.toThrow("score: the model must be open; got a closed model");
    await without.close();
  });
});
