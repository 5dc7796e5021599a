import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { ProductDType } from "#foretoken/core/tensors/dtype.js";
import type { GuessPace } from "#foretoken/engine/guess-pace.js";
import { generate } from "#foretoken/generate/generate.js";
import { generateMany } from "#foretoken/generate/generate-many.js";
import type { GenerateOptions } from "#foretoken/generate/options.js";
import { ngramDraft } from "#foretoken/generate/speculation/ngram.js";
import type { Speculate } from "#foretoken/generate/speculation/speculate.js";
import { createTextEngine, type EngineEvent, type TextEngine } from "#foretoken/generate/text-engine.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../support/backends.ts";
import { groupedModel, hashedModel } from "../support/models.ts";

const characters = [..."abcdefghijklmnopqrstuvwxyz \n."];
const config = {
  ...groupedModel,
  contextLength: 128,
  nEmbd: 16,
  nLayer: 2,
  mlp: { kind: "swiglu", hidden: 20 },
} as const;

const listed = async <T>(events: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
};

/** Uses all guesses, even if they cost much time. */
const all: GuessPace = { plan: (texts) => texts.map(({ most }) => most), note() {} };

/** The events without the numbers of guesses. The numbers are returned separately. */
const apart = (events: readonly EngineEvent[]) => {
  const last = events.at(-1);
  if (last?.type !== "done") throw new Error("the last event is done");
  const { guesses, ...done } = last;
  return { events: [...events.slice(0, -1), done], guesses };
};

const verse = "the cat sat on the mat. the dog sat on the cat. the cat sat on ";
const settings: readonly GenerateOptions[] = [
  { prompt: verse },
  { prompt: verse, temperature: 0, candidates: 2 },
  { prompt: verse, temperature: 0, repetitionPenalty: 1.2, frequencyPenalty: 0.3 },
  { prompt: verse, topK: 0, topP: 0.9, seed: 5, candidates: 3, maxNewTokens: 1 },
  { prompt: "abababababa", topK: 3, seed: 7, stop: ["e"] },
  { prompt: "aaaaaaaaaa", temperature: 0, endTokens: [4], presencePenalty: 0.2 },
  { prompt: verse, badWords: ["a", "be"], logitBias: { 7: 2, 8: -100 }, topK: 2 },
  { prompt: verse, topK: 2, adjustLogits: (logits, ids) => logits.fill(9, ids.length % 29, (ids.length % 29) + 1) },
  // The text exceeds the context, once with windows that are computed again and once with a sliding window.
  { prompt: verse, temperature: 0, maxNewTokens: 80 },
  { prompt: verse, temperature: 0.1, maxNewTokens: 160, slide: 32 },
];

const dtypes: readonly ProductDType[] = ["float32", "bfloat16"];
for (const dtype of dtypes) {
  forEachBackend(
    `guessed tokens, ${dtype}`,
    ({ open }) => {
      let backend: Backend;
      let lm: LanguageModel;
      let small: LanguageModel;
      let engine: TextEngine;
      const openEngine = (): TextEngine =>
        createTextEngine(lm.adapted(null), { cacheBytes: 2 ** 24, maxSequences: 8, guessPace: all }, 64);
      beforeAll(async () => {
        backend = await open(1, dtype);
        const model = hashedModel(backend, config, characters.length);
        const adapted = loraModel(model, { rank: 2 }, 1);
        const { arena, layout } = adapted.adapter;
        backend.write(
          arena.storage,
          Float32Array.from({ length: layout.length }, (_, i) => Math.sin(i)),
        );
        adapted.weightsChanged();
        lm = languageModel(model, charTokenizer(characters), undefined, { adapters: { sine: adapted } });
        lm.useAdapter(null);
        const { contextLength, ...rest } = config;
        const shape = { ...rest, contextLength: contextLength / 2, nLayer: 1 };
        small = languageModel(hashedModel(backend, shape, characters.length), charTokenizer(characters));
        engine = openEngine();
      });
      afterAll(async () => {
        await engine.close();
        await small.close();
        await lm.close();
        expect(backend.bytesInUse()).toBe(0);
        await backend.close();
      });

      it("change no bit of any text, alone and among others", async () => {
        // Settings have the same effect in both number formats. So one number format is tested with only some settings.
        const asked = dtype === "float32" ? settings : settings.filter((_, i) => i % 3 === 0);
        const plain: EngineEvent[][] = [];
        for (const options of asked) plain.push(await listed(generate(lm, { maxNewTokens: 48, ...options })));
        const sums = { guessed: 0, accepted: 0 };
        const ways: readonly Speculate[] = ["ngram", small, lm];
        for (const [i, options] of asked.entries()) {
          for (const speculate of ways) {
            const { events } = apart(await listed(generate(lm, { maxNewTokens: 48, ...options, speculate })));
            expect(events).toEqual(plain[i]);
          }
        }
        for (const speculate of ways) {
          const written = await Promise.all(
            asked.map((options) => listed(engine.generate(lm, { maxNewTokens: 48, ...options, speculate }))),
          );
          const parts = written.map(apart);
          expect(parts.map(({ events }) => events)).toEqual(plain);
          for (const { guesses = { guessed: 0, accepted: 0 } } of parts) {
            sums.guessed += guesses.guessed;
            sums.accepted += guesses.accepted;
          }
          expect(engine.counts()).toMatchObject({ ...sums, running: 0, pagesInUse: 0 });
        }
        expect(sums.accepted).toBeGreaterThan(20 * asked.length);
        expect(sums.guessed).toBeGreaterThan(sums.accepted);
      });

      it("come true, all of them, where the model guesses for itself with the same random numbers", async () => {
        const { guesses } = apart(
          await listed(engine.generate(lm, { prompt: "the ", maxNewTokens: 61, seed: 3, speculate: lm })),
        );
        expect(guesses?.guessed).toBeGreaterThan(45);
        expect(guesses?.accepted).toBe(guesses?.guessed);
      });

      it("are those of each text's adapter", async () => {
        for (const adapter of ["sine", null]) {
          const options = { prompt: verse, maxNewTokens: 40, temperature: 0, adapter };
          const plain = await listed(engine.generate(lm, options));
          const { events } = apart(await listed(engine.generate(lm, { ...options, speculate: "ngram" })));
          expect(events).toEqual(plain);
        }
      });

      it("are not shown when the text is aborted before", async () => {
        const controller = new AbortController();
        const { signal } = controller;
        const seen: string[] = [];
        for await (const event of generate(lm, { prompt: "the ", maxNewTokens: 60, signal, speculate: lm })) {
          if (event.type === "token") seen.push(event.text);
          else expect(event).toMatchObject({ finishReason: "aborted", newTokens: 5, text: seen.join("") });
          if (seen.length === 5) controller.abort();
        }
        expect(seen).toHaveLength(5);
      });
    },
    ["wasm", "native"],
  );
}

describe("who guesses", () => {
  forEachBackend(
    "is a model",
    ({ open }) => {
      it("with the same tokenizer, that is open; else it is refused in one line", async () => {
        const backend = await open(1);
        const of = (text: string): LanguageModel =>
          languageModel(hashedModel(backend, config, text.length), charTokenizer([...text]));
        const [lm, fewer, others, closed] = [of("abcd"), of("abc"), of("abce"), of("abcd")];
        await closed.close();
        const refused = async (speculate: unknown): Promise<string> => {
          const options = { prompt: "ab", maxNewTokens: 9, speculate: speculate as Speculate };
          const error = await listed(generate(lm, options)).catch((cause: unknown) => cause);
          return (error as Error).message;
        };
        const must = "generate: speculate: the draft model must have the same tokenizer as the model";
        expect(await refused(fewer)).toBe(`${must}; got a vocabulary of 3 tokens instead of 4`);
        expect(await refused(others)).toBe(`${must}; got "e" instead of "d" for token 3`);
        expect(await refused(closed)).toBe(
          "generate: speculate: the draft model must stay open while texts are written; got a closed model",
        );
        expect(await refused("trigram")).toBe(
          'generate: speculate: must be false, "ngram" or a language model; got "trigram"',
        );
        expect(await refused("draft")).toContain("try loadInWorker(path, { draft: smaller })");
        const uncached = { prompt: "ab", cache: false, speculate: "ngram" } as const;
        await expect(listed(generate(lm, uncached))).rejects.toThrow("needs the KV cache");
        for (const one of [lm, fewer, others]) await one.close();
        await backend.close();
      });

      it("for texts whose tokens come as often as the model's probabilities say", async () => {
        const backend = await open(1);
        const text = "abcdef";
        const lm = languageModel(hashedModel(backend, config, text.length), charTokenizer([...text]));
        const count = 600;
        const prompts = Array.from({ length: count }, (_, seed) => ({ prompt: "abcabcab", seed }));
        const options = { maxNewTokens: 3, temperature: 1, topK: 0, speculate: "ngram" } as const;
        const seen = new Map<string, number>();
        for await (const { ids } of generateMany(lm, prompts, options)) {
          for (let length = 1; length <= 3; length++) {
            const key = ids.slice(0, length).join();
            seen.set(key, (seen.get(key) ?? 0) + 1);
          }
        }
        // Number of times that each third token follows the likeliest first two tokens.
        let prefix: number[] = [];
        for (let length = 0; length < 3; length++) {
          const { data } = await lm.logits([...lm.tokenizer.encode("abcabcab"), ...prefix]);
          const weights = Array.from(data.slice(-text.length), Math.exp);
          const sum = weights.reduce((a, b) => a + b, 0);
          const total = length === 0 ? count : (seen.get(prefix.join()) ?? 0);
          let squares = 0;
          for (const [id, weight] of weights.entries()) {
            const expected = (total * weight) / sum;
            squares += ((seen.get([...prefix, id].join()) ?? 0) - expected) ** 2 / expected;
          }
          // With five degrees of freedom, χ² exceeds this value with a probability of 1/1000. The seeds are fixed.
          expect(squares).toBeLessThan(20.5);
          prefix = [...prefix, weights.indexOf(Math.max(...weights))];
        }
        await lm.close();
        await backend.close();
      });
    },
    ["native"],
  );
});

describe("guesses from the text itself", () => {
  const guess = (ids: readonly number[], most = 8): readonly number[] => ngramDraft()(ids, most) as readonly number[];

  it("are the tokens that followed the same ones before, the longest row of them", () => {
    expect(guess([1, 2, 3, 4, 5, 6, 9, 2, 3, 4])).toEqual([5, 6, 9, 2, 3, 4]);
    expect(guess([7, 1, 2, 3, 8, 1, 2, 4, 7, 1, 2])).toEqual([3, 8, 1, 2, 4, 7]);
    expect(guess([1, 2, 3, 8, 1, 2, 4, 1, 2], 2)).toEqual([4, 1]);
    expect(guess([1, 2, 3, 4])).toEqual([]);
  });

  it("repeat what repeats, past the end of the text", () => {
    expect(guess([5, 1, 2, 1, 2, 1, 2, 1, 2])).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
  });

  it("go on with a part that the text follows, after a token of its own", () => {
    const part = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const draft = ngramDraft();
    const ids = [...part, 20, 1, 2, 3, 4, 5, 6, 7];
    expect(draft(ids, 3)).toEqual([8, 9, 10]);
    ids.push(21);
    expect(draft(ids, 3)).toEqual([]);
    ids.push(9);
    expect(draft(ids, 3)).toEqual([10, 11]);
  });

  it("stop where they never come true", () => {
    const draft = ngramDraft();
    const ids: number[] = [];
    let given = 0;
    // The same two tokens occur several times, each time before another token.
    for (let i = 0; i < 60; i++) {
      ids.push(1, 2);
      if ((draft(ids, 4) as readonly number[]).length > 0) given++;
      ids.push(100 + i);
    }
    expect(given).toBeLessThan(10);
  });
});
