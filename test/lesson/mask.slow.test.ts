import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { lessonInput } from "#foretoken/lesson/input.js";
import { maskLesson } from "#foretoken/lesson/mask.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { ofKind, piecesOf, plain, tableWith } from "./small-lessons.ts";

const folder = process.env.FORETOKEN_CORPORA;
const hasShakespeare = folder !== undefined && existsSync(join(folder, "tiny-shakespeare.txt"));
const data = hasShakespeare ? "tiny-shakespeare" : "moby-dick";

const shareOf = (cell: string | undefined): number => {
  const [, known, words] = /^(\d+) of (\d+) /.exec(cell ?? "") ?? [];
  return words === undefined ? 0 : Number(known) / Number(words);
};

forEachBackend(
  "the mask's lesson",
  ({ name }) => {
    it(`trains a cheater that copies and cannot write, and a twin that predicts and can (${data})`, async () => {
      const backend = await openBackend(name, { threads: 2 });
      try {
        const corpus = await loadCorpus(data);
        const input = lessonInput({ backend, corpus, clock: () => 0, signal: new AbortController().signal });
        const pieces = await piecesOf(maskLesson(input));
        const [twin, cheater] = tableWith(pieces, "dictionary words");
        const words = ofKind(pieces, "prose")
          .map(({ text }) => plain(text))
          .at(-1);
        expect(words).toContain("of the runs of 3 letters or more in all 600 characters written");
        const [twinLoss, cheaterLoss] = [Number(twin?.[1]), Number(cheater?.[1])];
        expect(cheaterLoss).toBeLessThan(0.3);
        expect(twinLoss).toBeGreaterThan(1.5);
        // Bigrams of either text have about 2.45 nats: the twin has learned more than those.
        expect(twinLoss).toBeLessThan(2.2);
        // Worse than blind as soon as it may not look ahead.
        expect(Number(cheater?.[2])).toBeGreaterThan(Math.log(input.tokenizer.vocabSize));
        expect(shareOf(twin?.[3])).toBeGreaterThan(0.4);
        expect(shareOf(cheater?.[3])).toBeLessThan(shareOf(twin?.[3]) / 2);
      } finally {
        await backend.close();
      }
    });
  },
  compiled,
);
