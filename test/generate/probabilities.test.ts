import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { beamSearch } from "#foretoken/generate/beam-search.js";
import type { GenerateEvent, TokenEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import type { GenerateOptions } from "#foretoken/generate/options.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedModel } from "../support/models.ts";

const characters = [..."abcdefghijklmnopqrstuvwxyz \n."];
const contextLength = 12;

/** Softmax of the logits in float64. */
const softmax = (logits: Float32Array): readonly number[] => {
  const highest = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
};

forEachBackend("probabilities of generated tokens", ({ open }) => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    backend = await open(2);
    const config = { ...bookModel, contextLength, nEmbd: 16, nHead: 2, nLayer: 2 };
    lm = languageModel(hashedModel(backend, config, characters.length), charTokenizer(characters));
  });
  afterAll(() => backend.close());

  const write = async (options: Partial<GenerateOptions>): Promise<GenerateEvent[]> => {
    const events: GenerateEvent[] = [];
    const all = { prompt: "the ", maxNewTokens: 20, temperature: 0.7, topK: 5, ...options };
    for await (const event of generate(lm, all)) events.push(event);
    return events;
  };
  const tokensOf = (events: readonly GenerateEvent[]): TokenEvent[] =>
    events.filter((event): event is TokenEvent => event.type === "token");

  it("are the softmax of the model's own logits, past the context too, with and without a cache", async () => {
    const cached = await write({ candidates: 4 });
    expect(await write({ candidates: 4, cache: false })).toEqual(cached);
    const ids = Array.from(lm.tokenizer.encode("the "));
    for (const { id, probability, candidates = [] } of tokensOf(cached)) {
      const { data, shape } = await lm.logits(ids.slice(-contextLength));
      const expected = softmax(data.subarray((shape[0] - 1) * shape[1]));
      expect(probability).toBe(expected[id]);
      const sorted = expected.map((value, other) => ({ id: other, probability: value }));
      sorted.sort((a, b) => b.probability - a.probability || a.id - b.id);
      const told = candidates.map(({ logProb, ...one }) => ({
        ...one,
        differs: Math.abs(Math.exp(logProb) - one.probability) > 1e-12,
      }));
      expect(told).toEqual(sorted.slice(0, 4).map((one) => ({ ...one, text: characters[one.id], differs: false })));
      ids.push(id);
    }
    expect(ids.length).toBeGreaterThan(contextLength);
  });

  it("are told only where they are asked for, and change no text", async () => {
    const without = await write({});
    for (const event of without) expect(Object.keys(event)).not.toContain("probability");
    const bare = (await write({ candidates: 50 })).map((event) => {
      if (event.type === "done") return event;
      const { probability, logProb = 0, candidates, ...rest } = event;
      expect(candidates).toHaveLength(characters.length);
      const listed = candidates?.find(({ id }) => id === event.id);
      expect({ probability, logProb }).toEqual({ probability: listed?.probability, logProb: listed?.logProb });
      expect(Math.exp(logProb)).toBeCloseTo(probability ?? 0, 12);
      return rest;
    });
    expect(bare).toEqual(without);
    expect(await write({ candidates: 0 })).toEqual(without);
  });

  it("are refused where the logits are not numbers, and where more are asked for than 50", async () => {
    for (const candidates of [-1, 1.5, 51, Number.NaN, "3" as never]) {
      await expect(write({ candidates })).rejects.toThrow("generate.candidates: must be");
    }
    const bad = hashedModel(backend, lm.model.config, characters.length);
    backend.write(bad.arena.storage, new Float32Array(bad.layout.length).fill(Number.NaN));
    const broken = languageModel(bad, lm.tokenizer);
    const must = "the model's logits must be finite numbers; got NaN";
    for (const options of [{}, { candidates: 1 }, { temperature: 0 }]) {
      const first = generate(broken, { prompt: "ab", ...options }).next();
      await expect(first, JSON.stringify(options)).rejects.toThrow(must);
    }
    await expect(beamSearch(broken, { prompt: "a", beams: 2, maxNewTokens: 2 })).rejects.toThrow(must);
    await broken.close();
  });
});
