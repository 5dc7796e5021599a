import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { compareEvaluations } from "#foretoken/index.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { evaluate } from "#foretoken/train/measuring/evaluate.node.js";
import { bookModel, hashedModel } from "../../support/models.ts";
import { wordsText } from "../../support/runs.ts";

const evaluationOf = (windows: readonly (readonly [nats: number, tokens: number])[], charactersPerToken = 1) => {
  const nats = windows.reduce((sum, [part]) => sum + part, 0);
  const tokens = windows.reduce((sum, [, part]) => sum + part, 0);
  return {
    ...{ natsPerToken: nats / tokens, natsPerCharacter: nats / tokens / charactersPerToken, bitsPerByte: 1 },
    ...{ perplexity: 1, tokens, windows: windows.map(([part, count]) => ({ nats: part, tokens: count })) },
  };
};

it("is the mean of paired differences, with their standard error", () => {
  // Differences of windows of 10 tokens: −1, −2, −3. Mean −2; standard deviation 1, of the mean 1/√3; by 10 tokens.
  const one = evaluationOf(
    [
      [29, 10],
      [38, 10],
      [47, 10],
    ],
    4,
  );
  const other = evaluationOf(
    [
      [30, 10],
      [40, 10],
      [50, 10],
    ],
    4,
  );
  const found = compareEvaluations(one, other);
  expect(found.natsPerToken).toBeCloseTo(-0.2, 12);
  expect(found.standardError).toBeCloseTo(0.1 / Math.sqrt(3), 12);
  expect(found.natsPerCharacter).toBeCloseTo(-0.05, 12);
  expect(found.standardErrorPerCharacter).toBeCloseTo(0.025 / Math.sqrt(3), 12);
  expect(found.windows).toBe(3);
});

it("weighs a shorter window by its tokens", () => {
  // A difference of 0.1 a token everywhere has no noise.
  const one = evaluationOf([
    [9, 10],
    [18, 20],
    [2.7, 3],
  ]);
  const other = evaluationOf([
    [10, 10],
    [20, 20],
    [3, 3],
  ]);
  const found = compareEvaluations(one, other);
  expect(found.natsPerToken).toBeCloseTo(-0.1, 12);
  expect(found.standardError).toBeCloseTo(0, 12);
});

it("refuses other windows, one window, and evaluations without", () => {
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
  expect(() => compareEvaluations(evaluationOf([[1, 2]]), evaluationOf([[1, 2]]))).toThrow(
    /at least two windows; got 1/u,
  );
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
  const { natsPerToken, standardError } = compareEvaluations(one, other);
  expect(natsPerToken).toBeCloseTo(one.natsPerToken - other.natsPerToken, 12);
  expect(standardError).toBeGreaterThan(0);
});
