import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { type RandomStream, randomKey, randomStream } from "#foretoken/core/random.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { compareEvaluations } from "#foretoken/index.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel, hashedModel } from "../support/models.ts";
import { wordsText } from "../support/runs.ts";

const evaluationOf = (windows: readonly (readonly [nats: number, tokens: number])[], charactersPerToken = 1) => {
  const nats = windows.reduce((sum, [part]) => sum + part, 0);
  const tokens = windows.reduce((sum, [, part]) => sum + part, 0);
  return {
    ...{ natsPerToken: nats / tokens, natsPerCharacter: nats / tokens / charactersPerToken, bitsPerByte: 1 },
    ...{ perplexity: 1, tokens, windows: windows.map(([part, count]) => ({ nats: part, tokens: count })) },
  };
};

const noise = (seed: number) => randomStream(randomKey(seed, "sampling"));

/** Two evaluations on windows of 10 tokens with these differences in nats. */
const pairOf = (differences: readonly number[], charactersPerToken = 1) => {
  const two = (share: number) =>
    evaluationOf(
      differences.map((difference) => [30 + share * difference, 10]),
      charactersPerToken,
    );
  return [two(1), two(0)] as const;
};

/**
 * Noise from several parts. A part stays the same over 1, 2, 4, … or `longest` numbers. All parts have the same
 * variance, so the sum is nearly 1/f noise.
 */
const persistentNoise = (count: number, longest: number, { normal }: RandomStream): readonly number[] => {
  const sum = new Array<number>(count).fill(0);
  for (let length = 1; length <= longest; length *= 2) {
    let held = 0;
    for (let i = 0; i < count; i++) {
      if (i % length === 0) held = normal();
      sum[i] = (sum[i] as number) + held;
    }
  }
  return sum;
};

it("is the mean of paired differences; of fewer than eight windows without an interval", () => {
  const differences = [-1, -2, -3, -2, -2, -1, -3];
  const found = compareEvaluations(...pairOf(differences, 4));
  expect(found.natsPerToken).toBeCloseTo(-0.2, 12);
  expect(found.natsPerCharacter).toBeCloseTo(-0.05, 12);
  expect(found).toMatchObject({ halfWidth95: null, blocks: 7, windows: 7 });
  expect(compareEvaluations(...pairOf([-1]))).toMatchObject({ halfWidth95: null, blocks: 1, windows: 1 });
  const { halfWidth95, blocks } = compareEvaluations(...pairOf([...differences, -2], 4));
  expect(blocks).toBe(8);
  expect(halfWidth95?.natsPerCharacter).toBeCloseTo((halfWidth95?.natsPerToken ?? 0) / 4, 12);
  expect(halfWidth95?.natsPerToken).toBeGreaterThan(0);
});

it("weighs a shorter window by its tokens", () => {
  // A constant difference of 0.1 per token has no noise.
  const sizes = [10, 20, 3, 7, 10, 10, 1, 30, 10];
  const two = (nats: number) => evaluationOf(sizes.map((tokens) => [nats * tokens, tokens]));
  const found = compareEvaluations(two(0.9), two(1));
  expect(found.natsPerToken).toBeCloseTo(-0.1, 12);
  expect(found.halfWidth95?.natsPerToken).toBeCloseTo(0, 12);
});

it("has an interval that contains the whole text's difference, though windows far apart are alike", () => {
  const stream = noise(1);
  const text = persistentNoise(40_000, 4096, stream);
  const whole = text.reduce((sum, value) => sum + value, 0) / text.length / 10;
  const contained = Array.from({ length: 200 }, () => {
    const from = stream.integer(text.length - 100);
    const { natsPerToken, halfWidth95 } = compareEvaluations(...pairOf(text.slice(from, from + 100)));
    return Math.abs(natsPerToken - whole) <= (halfWidth95?.natsPerToken ?? 0);
  });
  expect(contained.filter(Boolean).length).toBeGreaterThanOrEqual(180);
});

it("refuses other windows, and evaluations without", () => {
  const two = evaluationOf([
    [1, 2],
    [3, 2],
  ]);
  expect(() =>
    compareEvaluations(
      two,
      evaluationOf([
        [1, 3],
        [3, 1],
      ]),
    ),
  ).toThrow(/same windows; got 2 windows of 4/u);
  const { windows: _, ...without } = two;
  expect(() => compareEvaluations(two, without)).toThrow(/other: must have the loss of each window.*windows: true/u);
});

const text = wordsText("compared", 90);
const tokenizer = trainCharTokenizer(text);
let backend: Backend;
let models: LanguageModel[] = [];
beforeAll(async () => {
  backend = await openReference();
  models = [1, 2].map((nLayer) => {
    const config = { ...bookModel, contextLength: 16, nEmbd: 16, nHead: 2, nLayer };
    return languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
  });
});
afterAll(() => backend.close());

it("agrees with the losses of the windows alone", async () => {
  const [one, other] = await Promise.all(models.map((lm) => evaluate(lm, { text, windows: true })));
  if (one?.windows === undefined || other?.windows === undefined) return expect.fail("no windows");
  expect(one.windows.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(one.tokens);
  expect(one.windows.slice(0, -1).every(({ tokens }) => tokens === 16)).toBe(true);
  const [lm] = models;
  const whole = await evaluate(lm as LanguageModel, { text });
  expect(whole.windows).toBeUndefined();
  expect(one.natsPerToken).toBeCloseTo(whole.natsPerToken, 6);
  expect(compareEvaluations(one, other).natsPerToken).toBeCloseTo(one.natsPerToken - other.natsPerToken, 12);
});
