import { expect, it } from "vitest";
import { type Documents, documentsBuilder } from "#foretoken/data/documents.js";
import { evaluate, evaluationPasses, measureDocuments, measureTokens } from "#foretoken/evaluate/evaluate.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { evaluateTogether } from "#foretoken/train/run/evaluate-together.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { hashInteger } from "../../support/hash.ts";
import { bookModel, hashedIds, hashedModel } from "../../support/models.ts";
import { gatheringTeam } from "../../support/teams.ts";

const tokenizer = charTokenizer([..."abcdefghijk"]);
const { vocabSize } = tokenizer;
const config = { ...bookModel, contextLength: 16, nEmbd: 8, nHead: 2, nLayer: 1 };

const documentsOf = (count: number): Documents => {
  const builder = documentsBuilder("d");
  for (let document = 0; document < count; document++) {
    const length = 2 + hashInteger("length", document, 40);
    builder.add(hashedIds(`question ${document}`, length, vocabSize), false);
    builder.add(hashedIds(`answer ${document}`, 1 + hashInteger("answer", document, 5), vocabSize), true);
    builder.end();
  }
  return builder.build();
};

const measuredText = (tokens: number) => measureTokens(hashedIds("text", tokens, vocabSize), tokenizer);
const passesOf = (measured: Parameters<typeof evaluate>[1]): number =>
  [...evaluationPasses(measured, { contextLength: config.contextLength, windows: false })].length;

forEachBackend(
  "an evaluation by several machines",
  ({ open }) => {
    it.each([
      ["a text of one pass", measuredText(5), 1],
      ["a text of three passes, the last of them short", measuredText(2 * 4096 + 10), 3],
      ["a text of more passes than machines take at a time", measuredText(19 * 4096 + 100), 21],
      ["documents", measureDocuments(documentsOf(1400), tokenizer), 4],
    ])("has the bits of one machine's: %s", async (_, measured, passes) => {
      expect(passesOf(measured)).toBe(passes);
      const backend = await open(1);
      const model = hashedModel(backend, config, vocabSize);
      const alone = await evaluate(model, measured);
      for (const size of [2, 4, 8]) {
        const all = gatheringTeam(size).map((one) => evaluateTogether(one, model, measured));
        for (const result of await Promise.all(all)) expect(result, `${size} machines`).toEqual(alone);
      }
      await backend.close();
    });
  },
  compiled,
);

forEachBackend(
  "an evaluation by two machines, of which one is asked to stop",
  ({ open }) => {
    const measured = measuredText(40 * 4096);

    /**
     * Tells machine 1 to stop after it has reported its losses a given number of times. Returns the results of both
     * machines, and the number of reports of machine 1.
     */
    const stoppedAfter = async (rounds: number) => {
      const backend = await open(1);
      const model = hashedModel(backend, config, vocabSize);
      const stop = [new AbortController(), new AbortController()];
      const team = gatheringTeam(
        2,
        stop.map(({ signal }) => signal),
      );
      let told = 0;
      const ask = (): void => {
        if (told === rounds) stop[1]?.abort();
      };
      ask();
      const results = team.map((one) =>
        evaluateTogether(
          {
            ...one,
            async gather(values) {
              const all = await one.gather(values);
              if (one.rank === 1) {
                told++;
                ask();
              }
              return all;
            },
          },
          model,
          measured,
        ),
      );
      const both = await Promise.all(results);
      const alone = await evaluate(model, measured);
      await backend.close();
      return { both, alone, told, agreed: team.map(({ agreed }) => agreed?.aborted) };
    };

    it("is broken off on both, at the same place", async () => {
      for (const rounds of [0, 1, 2]) {
        const { both, told, agreed } = await stoppedAfter(rounds);
        expect(both).toEqual([undefined, undefined]);
        expect(told).toBe(rounds + 1);
        expect(agreed).toEqual([true, true]);
      }
    });

    it("is kept if it was whole", async () => {
      const whole = await stoppedAfter(3);
      expect(whole.both).toEqual([whole.alone, whole.alone]);
    });
  },
  compiled,
);
