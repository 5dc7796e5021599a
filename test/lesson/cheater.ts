import { expect } from "vitest";
import { ofKind, plain, tableWith } from "./small-lessons.ts";
import type { LearnedLesson } from "./snapshot.ts";

const shareOf = (cell: string | undefined): number => {
  const [, known, words] = /^(\d+) of (\d+) /.exec(cell ?? "") ?? [];
  return words === undefined ? 0 : Number(known) / Number(words);
};

/**
 * Checks the result of the lesson on the mask. The model without a mask copies and cannot write. The model with the
 * mask predicts and can write.
 */
export const expectCheater = ({ input, pieces }: LearnedLesson): void => {
  const [twin, cheater] = tableWith(pieces, "dictionary words");
  const words = ofKind(pieces, "prose")
    .map(({ text }) => plain(text))
    .at(-1);
  expect(words).toMatch(/A dictionary word has 3 or more letters .* in the 600 characters that each model wrote\./u);
  const [twinLoss, cheaterLoss] = [Number(twin?.[1]), Number(cheater?.[1])];
  expect(cheaterLoss).toBeLessThan(0.3);
  expect(twinLoss).toBeGreaterThan(1.5);
  // A bigram model of each text has a loss of about 2.45 nats. The loss of the model with the mask is lower.
  expect(twinLoss).toBeLessThan(2.2);
  // If the model without a mask cannot look ahead, it predicts worse than guessing.
  expect(Number(cheater?.[2])).toBeGreaterThan(Math.log(input.tokenizer.vocabSize));
  expect(shareOf(twin?.[3])).toBeGreaterThan(0.4);
  expect(shareOf(cheater?.[3])).toBeLessThan(shareOf(twin?.[3]) / 2);
};
