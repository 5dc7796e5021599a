import { expect, it } from "vitest";
import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import { type Beam, type BeamRequest, searchBeams } from "#foretoken/engine/beams.js";
import { pageBytes } from "#foretoken/engine/page-memory.js";
import { createRoom } from "#foretoken/engine/room.js";
import { forward } from "#foretoken/models/forward.js";
import type { Model } from "#foretoken/models/model.js";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedIds, hashedModel } from "../support/models.ts";

const vocabSize = 7;
const config = { ...bookModel, contextLength: 80, nEmbd: 16, nHead: 2, nLayer: 2 };

/** ln p of every token after a text, from one forward pass over the whole text. */
const logProbsAfter = (model: Model, ids: readonly number[]): Promise<readonly number[]> =>
  withContext(inferenceContext(model.backend), async (context) => {
    const data = await readTensor(model.backend, forward(context, model, Int32Array.from(ids), 1, ids.length));
    const logits = Array.from(data.slice(-vocabSize));
    const highest = Math.max(...logits);
    const sum = highest + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - highest), 0));
    return logits.map((logit) => logit - sum);
  });

forEachBackend(
  "beam search",
  ({ open }) => {
    const withModel = async (
      work: (model: Model, search: (request: Partial<BeamRequest>) => Promise<readonly Beam[]>) => Promise<void>,
    ) => {
      const backend = await open(1);
      const model = hashedModel(backend, config, vocabSize);
      await work(model, async (request) => {
        const room = createRoom(model, 100 * pageBytes(model));
        const found = await searchBeams(room, {
          ...{ model, prompt: [1, 2], maxNewTokens: 3, beams: 2, ends: new Set<number>(), lengthPenalty: 1, vocabSize },
          isAborted: () => false,
          ...request,
        });
        expect(room.pages.used).toBe(room.pages.prefixes.idle);
        expect(room.pages.reserved).toBe(0);
        room.close();
        return found;
      });
      model.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    };

    it("with as many beams as there are texts finds the likeliest of all", () =>
      withModel(async (model, search) => {
        const all: { ids: number[]; logProb: number }[] = [{ ids: [], logProb: 0 }];
        for (let length = 0; length < 3; length++) {
          const longer = await Promise.all(
            all.splice(0).map(async ({ ids, logProb }) =>
              (await logProbsAfter(model, [1, 2, ...ids])).map((one, id) => ({
                ids: [...ids, id],
                logProb: logProb + one,
              })),
            ),
          );
          all.push(...longer.flat());
        }
        all.sort((a, b) => b.logProb - a.logProb);
        const found = await search({ beams: 49 });
        expect(found.slice(0, 20).map(({ ids }) => ids.join())).toEqual(all.slice(0, 20).map(({ ids }) => ids.join()));
        for (const [i, { logProb, score, ended }] of found.slice(0, 20).entries()) {
          expect(logProb).toBeCloseTo(all[i]?.logProb ?? 0, 5);
          expect({ score, ended }).toEqual({ score: logProb / 3, ended: false });
        }
      }));

    it("is a search that keeps so many texts in each round, past whole pages too", () =>
      withModel(async (model, search) => {
        const prompt = [...hashedIds("prompt", 29, vocabSize)];
        const [ends, beams, maxNewTokens] = [new Set([3]), 3, 12];
        let open: { ids: number[]; logProb: number }[] = [{ ids: [], logProb: 0 }];
        const found: { ids: number[]; score: number }[] = [];
        const keep = (ids: number[], logProb: number): void => {
          found.push({ ids, score: logProb / ids.length });
          found.sort((a, b) => b.score - a.score);
          found.splice(beams);
        };
        for (let length = 1; length <= maxNewTokens; length++) {
          const longer: { ids: number[]; logProb: number }[] = [];
          for (const { ids, logProb } of open) {
            const next = await logProbsAfter(model, [...prompt, ...ids]);
            longer.push(...next.map((one, id) => ({ ids: [...ids, id], logProb: logProb + one })));
          }
          longer.sort((a, b) => b.logProb - a.logProb);
          open = [];
          for (const [rank, { ids, logProb }] of longer.slice(0, 2 * beams).entries()) {
            if (!ends.has(ids.at(-1) as number)) open.push({ ids, logProb });
            else if (rank < beams) keep(ids, logProb);
            if (open.length === beams) break;
          }
          const worst = found[beams - 1];
          if (worst !== undefined && worst.score >= (open[0]?.logProb ?? 0) / length) {
            open = [];
            break;
          }
        }
        for (const { ids, logProb } of open) keep(ids, logProb);
        const beamsFound = await search({ prompt, ends, beams, maxNewTokens });
        expect(beamsFound.map(({ ids }) => ids.join())).toEqual(found.map(({ ids }) => ids.join()));
        for (const [i, { score }] of beamsFound.entries()) expect(score).toBeCloseTo(found[i]?.score ?? 0, 5);
      }));

    it("with one beam takes the likeliest token each time, and ends where it is told to", () =>
      withModel(async (model, search) => {
        const ids: number[] = [];
        for (let i = 0; i < 5; i++) {
          const next = await logProbsAfter(model, [1, 2, ...ids]);
          ids.push(next.indexOf(Math.max(...next)));
        }
        const [best] = await search({ beams: 1, maxNewTokens: 5 });
        expect(best?.ids).toEqual(ids);
        expect(await search({ beams: 2, isAborted: () => true })).toMatchObject([
          { ids: [], logProb: 0, ended: false },
        ]);
        expect(
          (await search({ beams: 4, lengthPenalty: 0, ends: new Set([0, 1, 2, 3, 4, 5, 6]) })).map(
            ({ ids: one }) => one.length,
          ),
        ).toEqual([1, 1, 1, 1]);
      }));
  },
  ["wasm", "native"],
);
