import { expect } from "vitest";
import { ofKind, plain, tableWith } from "./small-lessons.ts";
import type { LearnedLesson } from "./snapshot.ts";

const shareOf = (cell: string | undefined): number => {
  const [, known, words] = /^(\d+) of (\d+) /.exec(cell ?? "") ?? [];
  return words === undefined ? 0 : Number(known) / Number(words);
};

/** Expects of the mask's lesson a cheater that copies and cannot write, and a twin that predicts and can. */
export const expectCheater = ({ input, pieces }: LearnedLesson): void => {
  const [twin, cheater] = tableWith(pieces, "dictionary words");
  const words = ofKind(pieces, "prose")
    .map(({ text }) => plain(text))
    .at(-1);
  expect(words).toContain("words of 3 or more letters in the 600 characters written");
  const [twinLoss, cheaterLoss] = [Number(twin?.[1]), Number(cheater?.[1])];
  expect(cheaterLoss).toBeLessThan(0.3);
  expect(twinLoss).toBeGreaterThan(1.5);
  // Bigrams of either text have about 2.45 nats: the twin has learned more than those.
  expect(twinLoss).toBeLessThan(2.2);
  // Worse than blind as soon as it may not look ahead.
  expect(Number(cheater?.[2])).toBeGreaterThan(Math.log(input.tokenizer.vocabSize));
  expect(shareOf(twin?.[3])).toBeGreaterThan(0.4);
  expect(shareOf(cheater?.[3])).toBeLessThan(shareOf(twin?.[3]) / 2);
};
