import { expect, it } from "vitest";
import { createSequenceEngine, type SequenceEngine } from "#foretoken/engine/engine.js";
import type { GuessPace } from "#foretoken/engine/guess-pace.js";
import { pageBytes } from "#foretoken/engine/page-memory.js";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedIds, hashedModel, qwen3Model } from "../support/models.ts";
import { logitsAfter } from "../support/texts.ts";

const vocabSize = 29;
const config = { ...bookModel, contextLength: 256, nEmbd: 16, nHead: 2, nLayer: 1 };
/** Uses all guesses, even if they cost much time. */
const all: GuessPace = { plan: (texts) => texts.map(({ most }) => most), note() {} };
const greedy = (logits: Float32Array): number => logits.indexOf(Math.max(...logits));

forEachBackend(
  "an engine",
  ({ open }) => {
    const withEngine = async (
      sizes: { readonly pages?: number; readonly maxSequences?: number; readonly guessPace?: GuessPace },
      work: (engine: SequenceEngine, model: ReturnType<typeof hashedModel>) => Promise<void>,
    ): Promise<void> => {
      const backend = await open(1);
      const model = hashedModel(backend, config, vocabSize);
      const { pages = 64, maxSequences = 8, ...paces } = sizes;
      const engine = createSequenceEngine(model, { cacheBytes: pages * pageBytes(model), maxSequences, ...paces });
      await work(engine, model);
      await engine.close();
      await engine.close();
      model.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    };
    const prompt = (length: number, name = "prompt"): number[] => [...hashedIds(name, length, vocabSize)];

    it("reads of a text that goes on nothing but what is new", () =>
      withEngine({}, async (engine, model) => {
        const turns: number[] = [];
        let ids: number[] = [];
        for (let turn = 0; turn < 10; turn++) {
          ids = [...ids, ...prompt(7, `turn ${turn}`)];
          const before = engine.counts().computed;
          const answer: number[] = [];
          const choose = (logits: Float32Array): number => {
            answer.push(greedy(logits));
            return answer.at(-1) as number;
          };
          await engine.write({ model, prompt: ids, maxNewTokens: 5, choose }).ended;
          ids = [...ids, ...answer];
          turns.push(engine.counts().computed - before);
        }
        // The engine computes these tokens: the new words, the last token of the previous answer, and four tokens of
        // this answer. The engine does not read the fifth token of this answer.
        expect(turns).toEqual([11, ...Array.from({ length: 9 }, () => 12)]);
      }));

    it("lets sequences wait that there are no pages for, and loses none", () =>
      withEngine({ pages: 8 }, async (engine, model) => {
        let most = 0;
        const watched = (logits: Float32Array): number => {
          most = Math.max(most, engine.counts().pagesInUse);
          return greedy(logits);
        };
        const all = Array.from({ length: 12 }, (_, i) =>
          engine.write({ model, prompt: prompt(60, `text ${i}`), maxNewTokens: 30, choose: watched }),
        );
        await Promise.all(all.map(({ ended }) => ended));
        expect(most).toBeLessThanOrEqual(8);
        expect(engine.counts()).toMatchObject({ running: 0, waiting: 0, pagesInUse: 0, pagesMost: 8 });
      }));

    it("takes the page that it would have copied from, where there is no other", () =>
      withEngine({ pages: 8 }, async (engine, model) => {
        const write = (ids: number[], maxNewTokens: number) =>
          engine.write({ model, prompt: ids, maxNewTokens, choose: greedy }).ended;
        // All eight pages of the context are kept. The last page is half full.
        await write(prompt(240), 1);
        await write([...prompt(230), 5, 6, 7], 24);
        expect(engine.counts()).toMatchObject({ running: 0, pagesInUse: 0 });
        await write(prompt(250, "other"), 7);
      }));

    it("lets one in that outgrows the context, though its beginning is in memory and fills it", () =>
      withEngine({ pages: 8 }, async (engine, model) => {
        const write = (ids: number[], maxNewTokens: number) =>
          engine.write({ model, prompt: ids, maxNewTokens, choose: greedy }).ended;
        await write(prompt(200), 1);
        await write(prompt(200), 60);
        expect(engine.counts()).toMatchObject({ running: 0, waiting: 0, pagesInUse: 0 });
      }));

    it("refuses a prompt with an id that is no token, and writes the others", () =>
      withEngine({}, async (engine, model) => {
        const good = engine.write({ model, prompt: prompt(4), maxNewTokens: 3, choose: greedy });
        expect(() => engine.write({ model, prompt: [1, vocabSize], maxNewTokens: 3, choose: greedy })).toThrow(
          "got 29",
        );
        await good.ended;
      }));

    it("ends one from outside, before it begins and between its tokens, and frees its pages", () =>
      withEngine({ maxSequences: 1 }, async (engine, model) => {
        let count = 0;
        const writing = engine.write({
          model,
          prompt: prompt(5),
          maxNewTokens: 100,
          choose(logits) {
            count++;
            if (count === 3) writing.end();
            return greedy(logits);
          },
        });
        const never = engine.write({ model, prompt: prompt(5), maxNewTokens: 5, choose: () => 1 / 0 });
        never.end();
        // The text ends although it is waiting for another text.
        await never.ended;
        await Promise.all([writing.ended, never.ended]);
        expect(count).toBe(3);
        expect(engine.counts().pagesInUse).toBe(0);
      }));

    it("ends a text alone whose guesses fail, at once or later", () =>
      withEngine({}, async (engine, model) => {
        const write = (draft?: () => readonly number[] | Promise<readonly number[]>) =>
          engine.write({ model, prompt: prompt(5), maxNewTokens: 20, choose: greedy, draft }).ended;
        const good = write();
        await expect(
          write(() => {
            throw new Error("now");
          }),
        ).rejects.toThrow("now");
        await expect(write(() => Promise.reject(new Error("later")))).rejects.toThrow("later");
        await good;
        expect(engine.counts()).toMatchObject({ running: 0, pagesInUse: 0 });
      }));

    it("computes no guess that is behind the last token or the context, and none that is no token", () =>
      withEngine({ pages: 8, guessPace: all }, async (engine, model) => {
        const asked: number[] = [];
        const draft = (ids: readonly number[], most: number): readonly number[] => {
          asked.push(ids.length + most);
          // This function returns more guesses than the engine requests.
          return Array.from({ length: most + 5 }, () => 1);
        };
        const write = (length: number, maxNewTokens: number, own = draft) =>
          engine.write({ model, prompt: prompt(length), maxNewTokens, choose: () => 1, draft: own }).ended;
        await write(5, 20);
        expect(Math.max(...asked)).toBe(5 + 20 - 1);
        await write(250, 20);
        expect(Math.max(...asked)).toBe(256);
        const good = write(5, 20);
        await expect(write(5, 20, () => [vocabSize])).rejects.toThrow("got 29");
        await good;
        expect(engine.counts()).toMatchObject({ running: 0, pagesInUse: 0 });
      }));

    it("computes nothing of one that is paused, until it goes on", () =>
      withEngine({}, async (engine, model) => {
        const counts = [0, 0];
        const write = (i: number) =>
          engine.write({
            model,
            prompt: prompt(4),
            maxNewTokens: 12,
            choose(logits) {
              counts[i] = (counts[i] ?? 0) + 1;
              if (i === 0 && counts[0] === 2) first.pause(true);
              return greedy(logits);
            },
          });
        const first = write(0);
        await write(1).ended;
        expect(counts).toEqual([2, 12]);
        first.pause(false);
        await first.ended;
        expect(counts).toEqual([12, 12]);
      }));

    it("fails for one whose function throws, and writes the others", () =>
      withEngine({}, async (engine, model) => {
        const bad = engine.write({
          model,
          prompt: prompt(4),
          maxNewTokens: 3,
          choose() {
            throw new RangeError("no");
          },
        });
        const good = engine.write({ model, prompt: prompt(4), maxNewTokens: 3, choose: greedy });
        await expect(bad.ended).rejects.toThrow("no");
        await good.ended;
        expect(engine.counts().pagesInUse).toBe(0);
      }));

    it.each([
      ["the model's angles", {}],
      ["the angles of windows", { window: { size: 500, theta: 50 } }],
    ])(
      "slides past the context: the first page stays, what follows has the places after it, with %s",
      async (_, more) => {
        const backend = await open(1);
        const shape = {
          ...qwen3Model,
          contextLength: 128,
          nEmbd: 16,
          nHead: 2,
          nLayer: 1,
          mlp: bookModel.mlp,
          ...more,
        };
        const model = hashedModel(backend, shape, vocabSize);
        const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 4 });
        const ids = prompt(100);
        const seen: Float32Array[] = [];
        const write = (count: number, slide: number) =>
          engine.write({
            model,
            prompt: ids,
            maxNewTokens: count,
            slide,
            choose(logits) {
              seen.push(logits.slice());
              return greedy(logits);
            },
          }).ended;
        const before = engine.counts().computed;
        await write(80, 64);
        // Each token is computed once. The logits of the last token are not needed.
        expect(engine.counts().computed - before).toBe(100 + 79);
        // With one layer, keys and values depend only on tokens and positions. So a window that is computed again has
        // nearly the same logits.
        const text = [...ids, ...seen.map(greedy)];
        for (const at of [129, 150, 170]) {
          const window = [...text.slice(0, 32), ...text.slice(96, at)];
          const anew = await logitsAfter(model, window);
          const slid = seen[at - 100] as Float32Array;
          const difference = Math.max(...anew.map((logit, v) => Math.abs(logit - (slid[v] as number))));
          expect(difference).toBeLessThan(1e-4);
        }
        await engine.close();
        model.close();
        expect(backend.bytesInUse()).toBe(0);
        await backend.close();
      },
    );

    it("does not use what other weights have computed", () =>
      withEngine({}, async (engine, model) => {
        const write = () => engine.write({ model, prompt: prompt(40), maxNewTokens: 1, choose: greedy }).ended;
        await write();
        await write();
        expect(engine.counts()).toMatchObject({ computed: 41, reused: 39 });
        model.weightsChanged();
        await write();
        expect(engine.counts()).toMatchObject({ computed: 81, reused: 39 });
        // The model was changed during the generation of a text, so other texts must not reuse the pages of this text.
        let count = 0;
        const choose = (logits: Float32Array): number => {
          if (count++ === 1) model.weightsChanged();
          return greedy(logits);
        };
        await engine.write({ model, prompt: prompt(12, "other"), maxNewTokens: 3, choose }).ended;
        const { reused } = engine.counts();
        await engine.write({ model, prompt: prompt(12, "other"), maxNewTokens: 1, choose: greedy }).ended;
        expect(engine.counts().reused).toBe(reused);
      }));
  },
  ["wasm", "native"],
);
