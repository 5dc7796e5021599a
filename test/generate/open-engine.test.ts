import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { beamSearch } from "#foretoken/generate/beam-search.js";
import type { EngineGenerateOptions } from "#foretoken/generate/engine-options.js";
import type { GenerateEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import { generateMany, type ManyText } from "#foretoken/generate/generate-many.js";
import { type Engine, openEngine } from "#foretoken/generate/open-engine.js";
import type { GenerateOptions } from "#foretoken/generate/options.js";
import type { EngineEvent } from "#foretoken/generate/text-engine.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedModel, qwen3Model } from "../support/models.ts";

const characters = [..."abcdefghijklmnopqrstuvwxyz \n."];
const config = { ...bookModel, contextLength: 70, nEmbd: 16, nHead: 2, nLayer: 2 };

const listed = async <T>(events: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
};

forEachBackend(
  "openEngine",
  ({ open }) => {
    let backend: Backend;
    let lm: LanguageModel;
    let engine: Engine;
    beforeAll(async () => {
      backend = await open(1);
      const model = hashedModel(backend, config, characters.length);
      const adapted = loraModel(model, { rank: 2 }, 1);
      const { arena, layout } = adapted.adapter;
      backend.write(
        arena.storage,
        Float32Array.from({ length: layout.length }, (_, i) => Math.sin(i)),
      );
      adapted.weightsChanged();
      lm = languageModel(model, charTokenizer(characters), undefined, { adapters: { sine: adapted } });
      engine = await openEngine(lm);
    });
    afterAll(async () => {
      await engine.close();
      await lm.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });

    const settings: readonly GenerateOptions[] = [
      {},
      { prompt: "the cat ", maxNewTokens: 90 },
      { prompt: "the cat sat", temperature: 0 },
      { prompt: "the c", topK: 0, topP: 0.9, seed: 5, candidates: 3 },
      { prompt: "a", topK: 0, minP: 0.02, typicalP: 0.9, stop: ["e"] },
      { prompt: "a long prompt ".repeat(8), maxNewTokens: 5 },
      { prompt: "no", repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.2, endTokens: [4] },
      { prompt: "no", badWords: ["a", "be"], logitBias: { 7: 2, 8: -100 } },
      { prompt: "so", samplers: ["typicalP", "minP", "topP", "topK", "temperature"], topP: 0.5 },
      { prompt: "so", adjustLogits: (logits, ids) => logits.fill(9, ids.length % 29, (ids.length % 29) + 1) },
    ];

    it("gives the events of generate, to the bit, to many at once", async () => {
      const wanted: GenerateEvent[][] = [];
      for (const options of settings) wanted.push(await listed(generate(lm, { maxNewTokens: 30, ...options })));
      const all = settings.map((options) => listed(engine.generate({ maxNewTokens: 30, ...options })));
      expect(await Promise.all(all)).toEqual(wanted);
    });

    it("writes with an adapter of its own for each text", async () => {
      const of = async (adapter: string | null): Promise<GenerateEvent[]> => {
        lm.useAdapter(adapter);
        return listed(generate(lm, { prompt: "the ", candidates: 2, maxNewTokens: 20 }));
      };
      const wanted = [await of("sine"), await of(null)];
      expect(wanted[0]).not.toEqual(wanted[1]);
      lm.useAdapter("sine");
      const options = { prompt: "the ", candidates: 2, maxNewTokens: 20 };
      const texts = [{}, { adapter: null }, { adapter: "sine" }].map((one) =>
        listed(engine.generate({ ...options, ...one })),
      );
      expect(await Promise.all(texts)).toEqual([wanted[0], wanted[1], wanted[0]]);
      await expect(listed(engine.generate({ adapter: "cosine" }))).rejects.toThrow("adapter");
    });

    it("tells the log-probabilities of a prompt: the numbers of score", async () => {
      const text = "the cat sat on the mat.";
      // Generates once before the test, so that memory contains old data. This data must not be used.
      await listed(engine.generate({ prompt: text, maxNewTokens: 2 }));
      const [first, ...rest] = await listed(
        engine.generate({ prompt: text, maxNewTokens: 4, scorePrompt: true, candidates: 2 }),
      );
      const { tokens } = await lm.score(text, { candidates: 2 });
      expect(first).toEqual({ v: 1, type: "prompt", tokens });
      expect(rest).toEqual(await listed(generate(lm, { prompt: text, maxNewTokens: 4, candidates: 2 })));
      await expect(listed(engine.generate({ prompt: "a".repeat(71), scorePrompt: true }))).rejects.toThrow(
        "generate: scorePrompt: the prompt must fit into the context of 70 tokens; got 71",
      );
    });

    it("ends a text that is aborted, or that nobody reads to its end, and frees its pages", async () => {
      const controller = new AbortController();
      const events: EngineEvent[] = [];
      for await (const event of engine.generate({ prompt: "the ", maxNewTokens: 60, signal: controller.signal })) {
        events.push(event);
        if (events.length === 3) controller.abort();
      }
      expect(events).toHaveLength(4);
      const read = events.flatMap((event) => (event.type === "token" ? [event.text] : [])).join("");
      expect(events[3]).toMatchObject({ type: "done", finishReason: "aborted", newTokens: 3, text: read });
      for await (const event of engine.generate({ prompt: "the ", maxNewTokens: 60 }))
        if (event.type === "token") break;
      const early = await listed(engine.generate({ prompt: "the ", signal: AbortSignal.abort() }));
      expect(early).toMatchObject([{ type: "done", finishReason: "aborted", newTokens: 0, text: "" }]);
      await listed(engine.generate({ prompt: "a", maxNewTokens: 1 }));
      expect(engine.counts()).toMatchObject({ running: 0, waiting: 0, pagesInUse: 0 });
    });

    it("is not far ahead of a reader who takes his time", async () => {
      const events = engine.generate({ prompt: "the ", maxNewTokens: 300 });
      await events.next();
      const before = engine.counts().computed;
      for (let i = 0; i < 200; i++) await listed(engine.generate({ prompt: "b", maxNewTokens: 1 }));
      expect(engine.counts().computed - before).toBeLessThan(70 + 200);
      expect((await listed(events)).filter(({ type }) => type === "token")).toHaveLength(299);
    });

    it("searches with beams up to the end of the context, and slides from a prompt of one token", async () => {
      for (const beams of [2, 8]) {
        const found = await beamSearch(lm, { prompt: "the ", beams, maxNewTokens: 67, endTokens: [3] });
        expect(found).toHaveLength(beams);
      }
      await expect(beamSearch(lm, { prompt: "the ", maxNewTokens: 68 })).rejects.toThrow("try at most 67");
      const shape = { ...qwen3Model, contextLength: 96, nEmbd: 16, nHead: 2, nLayer: 1, mlp: bookModel.mlp };
      const turning = languageModel(hashedModel(backend, shape, characters.length), charTokenizer(characters));
      const options = { prompt: "a", maxNewTokens: 150, slide: 32 };
      const events = await listed(generate(turning, options));
      expect(events.at(-1)).toMatchObject({ finishReason: "length", newTokens: 150 });
      const other = await openEngine(turning);
      expect(await listed(other.generate(options))).toEqual(events);
      await other.close();
      await expect(listed(generate(lm, options))).rejects.toThrow(
        "generate: slide: the model must be causal with rotary",
      );
      await expect(listed(generate(turning, { ...options, slide: 64 }))).rejects.toThrow(
        "generate: slide: must be at most 32 in a context of 96 tokens: at least 64 tokens must stay; got 64; try 32",
      );
      await turning.close();
    });

    it("refuses what it cannot do, in one line", async () => {
      const refused = async (options: EngineGenerateOptions): Promise<string> => {
        const error = await listed(engine.generate(options)).catch((cause: unknown) => cause);
        return (error as Error).message;
      };
      expect(await refused({ cache: false } as EngineGenerateOptions)).toContain("cache");
      expect(await refused({ samplers: ["topK"] })).toContain(
        "samplers: must name each of temperature, topK, topP, minP, typicalP once",
      );
      expect(await refused({ logitBias: { a: 1 } })).toContain("logitBias");
      expect(await refused({ repetitionPenalty: 0 })).toContain("repetitionPenalty");
      expect(await refused({ prompt: "É" })).toContain('got "É"');
      await expect(openEngine(lm, { cacheBytes: -1 })).rejects.toThrow("openEngine.cacheBytes: must be above 0");
      await expect(openEngine(lm, { pages: 3 } as object)).rejects.toThrow("pages");
    });
  },
  ["wasm", "native"],
);

describe("generateMany", () => {
  forEachBackend(
    "texts in the order of their prompts",
    ({ open }) => {
      it("whatever comes first", async () => {
        const backend = await open(1);
        const lm = languageModel(hashedModel(backend, config, characters.length), charTokenizer(characters));
        const prompts = Array.from({ length: 20 }, (_, i) => ({
          prompt: characters[i] as string,
          maxNewTokens: 1 + ((i * 7) % 20),
        }));
        const given = (async function* () {
          yield* prompts;
        })();
        const texts = await listed(generateMany(lm, given, { maxSequences: 3, temperature: 0.9, seed: 3 }));
        const wanted: ManyText[] = [];
        for (const [index, one] of prompts.entries()) {
          const events = await listed(generate(lm, { temperature: 0.9, seed: 3, ...one }));
          const ids = events.flatMap((event) => (event.type === "token" ? [event.id] : []));
          const done = events.at(-1);
          if (done?.type !== "done") throw new Error("the last event is done");
          const { v: _v, type: _type, task: _task, ...facts } = done;
          wanted.push({ index, ids, ...facts });
        }
        expect(texts).toEqual(wanted);
        // A source of prompts that waits until the previous text is complete.
        let told = (_text: string): void => {};
        const source = (async function* () {
          let prompt = "a";
          for (let i = 0; i < 3; i++) {
            const answer = new Promise<string>((resolve) => {
              told = resolve;
            });
            yield prompt;
            prompt = (await answer).slice(0, 2);
          }
        })();
        let count = 0;
        for await (const { text } of generateMany(lm, source, { maxNewTokens: 4 })) {
          count++;
          told(text);
        }
        expect(count).toBe(3);
        const controller = new AbortController();
        const never = (async function* () {
          yield "a";
          await new Promise(() => {});
        })();
        for await (const _ of generateMany(lm, never, { maxNewTokens: 2, signal: controller.signal }))
          controller.abort();
        const failing = (async function* () {
          yield "a";
          throw new RangeError("no more");
        })();
        const seen: string[] = [];
        const all = (async () => {
          for await (const { text } of generateMany(lm, failing, { maxNewTokens: 2 })) seen.push(text);
        })();
        await expect(all).rejects.toThrow("no more");
        expect(seen).toHaveLength(1);
        await expect(listed(generateMany(lm, ["a", "É", "b"]))).rejects.toThrow('got "É"');
        await expect(listed(generateMany(lm, 5 as never))).rejects.toThrow("generateMany: prompts: must be a list");
        await expect(listed(generateMany(lm, [5 as never]))).rejects.toThrow("each must be a text");
        await lm.close();
        expect(backend.bytesInUse()).toBe(0);
        await backend.close();
      });
    },
    ["native"],
  );
});
