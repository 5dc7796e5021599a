import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { bigramModel, meanLoss, uniformModel, unigramModel, writeCounted } from "#foretoken/lesson/counted.js";
import { lossLesson } from "#foretoken/lesson/loss.js";
import { lossOf, softmax } from "#foretoken/lesson/model.js";
import type { Piece } from "#foretoken/lesson/piece.js";
import {
  chinese,
  learningSize,
  misleading,
  ofKind,
  piecesOf,
  plain,
  tableWith,
  tinyInput,
  tinySize,
} from "./small-lessons.ts";

const vocabSize = 7;
const someIds = fc.array(fc.integer({ min: 0, max: vocabSize - 1 }), { minLength: 2, maxLength: 60 });

describe("models that count", () => {
  it("give probabilities that are none of them 0 and sum to 1", () => {
    fc.assert(
      fc.property(someIds, (ids) => {
        const text = Int32Array.from(ids);
        for (const model of [uniformModel(vocabSize), unigramModel(text, vocabSize), bigramModel(text, vocabSize)]) {
          for (let last = 0; last < vocabSize; last++) {
            const all = Array.from({ length: vocabSize }, (_, next) => model.probability(last, next));
            expect(Math.min(...all)).toBeGreaterThan(0);
            expect(all.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
          }
        }
      }),
    );
  });

  it("count, and one more", () => {
    const ids = Int32Array.of(0, 1, 0, 1, 0, 2);
    const unigram = unigramModel(ids, 3);
    expect([0, 1, 2].map((next) => unigram.probability(0, next))).toEqual([4 / 9, 3 / 9, 2 / 9]);
    const bigram = bigramModel(ids, 3);
    expect([0, 1, 2].map((next) => bigram.probability(0, next))).toEqual([1 / 6, 3 / 6, 2 / 6]);
    // The token that follows the last token of the text is unknown.
    expect([0, 1, 2].map((next) => bigram.probability(2, next))).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it("cost ln V where all are alike, and less the more of the text they use", () => {
    const ids = Int32Array.from({ length: 4000 }, (_, i) => [0, 1, 0, 2, 0, 1, 3][i % 7] ?? 0);
    const uniform = meanLoss(uniformModel(4), ids);
    expect(uniform).toBeCloseTo(Math.log(4), 12);
    const unigram = meanLoss(unigramModel(ids, 4), ids);
    expect(unigram).toBeLessThan(uniform);
    expect(meanLoss(bigramModel(ids, 4), ids)).toBeLessThan(unigram);
  });

  it("write what they have counted", () => {
    const ids = Int32Array.from({ length: 9000 }, (_, i) => i % 3);
    const random = randomStream(randomKey(1, "sampling"));
    const written = writeCounted(bigramModel(ids, 3), 3, 2, 300, random);
    const followed = written.filter((id, i) => id === ((written[i - 1] ?? 2) + 1) % 3).length;
    expect(followed).toBeGreaterThan(295);
  });
});

it("softmax and the loss keep their precision where exponentials overflow", () => {
  const logits = Float32Array.of(1000, 999, -1000);
  expect(softmax(logits).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
  expect(lossOf(logits, 0)).toBeCloseTo(Math.log(1 + Math.exp(-1)), 6);
});

describe("the lesson of the loss", () => {
  let backend: Backend;
  let pieces: readonly Piece[];
  beforeAll(async () => {
    backend = await openReference();
    pieces = await piecesOf(lossLesson(tinyInput(backend), tinySize));
  });
  afterAll(() => backend.close());

  it("says the same whenever it runs, and leaves nothing in the backend's memory", async () => {
    expect(backend.bytesInUse()).toBe(0);
    expect(await piecesOf(lossLesson(tinyInput(backend), tinySize))).toEqual(pieces);
  });

  it("goes from the logits to the loss without a gap", () => {
    const rows = tableWith(pieces, "logit");
    const right = rows.find((row) => row[4]?.includes("next character"));
    const all = rows.at(-1);
    const share = Number(right?.[2]) / Number(all?.[2]);
    expect(Math.abs(share - Number.parseFloat(right?.[3] ?? "") / 100)).toBeLessThan(0.001);
    const said = ofKind(pieces, "prose").map(({ text }) => plain(text));
    const [, p, loss] = /−ln ([\d.]+) = ([\d.]+) nats/u.exec(said.join(" ")) ?? [];
    expect(Math.abs(-Math.log(Number(p)) - Number(loss))).toBeLessThan(0.01);
  });

  it("begins near ln V", () => {
    const [mean, blind] = tableWith(pieces, "comes")
      .slice(-2)
      .map((row) => Number(row.at(-1)));
    expect(Math.abs((mean ?? 0) - (blind ?? 0))).toBeLessThan(0.5);
  });

  it("gives each guesser's loss in nats, bits and choices", () => {
    const rows = tableWith(pieces, "choices");
    expect(rows.map(([name]) => name)).toEqual(["uniform", "unigram", "bigram", "small model"]);
    const { vocabSize } = tinyInput(backend).tokenizer;
    expect(rows[0]?.slice(1, 4)).toEqual([
      Math.log(vocabSize).toFixed(2),
      Math.log2(vocabSize).toFixed(2),
      vocabSize.toFixed(1),
    ]);
    for (const [, nats, bits, among] of rows) {
      expect(Math.abs(Number(nats) / Math.LN2 - Number(bits))).toBeLessThan(0.02);
      expect(Math.abs(Math.exp(Number(nats)) / Number(among) - 1)).toBeLessThan(0.02);
    }
  });

  it("shows losses of one kind: those of the chart are those of the table", () => {
    const chart = ofKind(pieces, "curves").at(-1);
    const losses = [...(chart?.levels ?? []).map(({ loss }) => loss), chart?.curves[0]?.points.at(-1)?.loss];
    expect(chart?.curves[0]).toMatchObject({ measured: true });
    expect(losses.map((loss) => loss?.toFixed(2))).toEqual(tableWith(pieces, "choices").map((row) => row[1]));
    expect(chart?.curves[0]?.points.at(0)?.step).toBe(0);
    expect(chart?.curves[0]?.points.at(-1)?.step).toBe(tinySize.steps);
  });

  it("says in a sentence that a model which is worse than counting has learned its text by heart, or has just begun", async () => {
    const found = await piecesOf(lossLesson(tinyInput(backend, {}, misleading), learningSize));
    expect(ofKind(found, "prose").map(({ text }) => plain(text))).toContainEqual(
      expect.stringMatching(
        /predicts worse than uniform and unigram: it has learned its text by heart \(0\.\d\d nats on its training text, 3\.\d\d on held-out text\)\. A longer text helps\.$/u,
      ),
    );
    const said = ofKind(pieces, "prose").map(({ text }) => plain(text));
    expect(said).toContainEqual("After so few steps, the small model predicts worse than unigram and bigram.");
  });

  it("lists what p costs from the cheapest on, also with more than 100 characters", async () => {
    const found = await piecesOf(lossLesson(tinyInput(backend, {}, chinese), { ...tinySize, steps: 1 }));
    const labels = ofKind(found, "bars")[0]?.bars.map(({ label }) => label);
    expect(labels).toEqual(["p = 90%", "p = 50%", "p = 1%", "p = 1/110"]);
  });

  it("ends with the signal's reason", async () => {
    const controller = new AbortController();
    const lesson = lossLesson(tinyInput(backend, { signal: controller.signal }), tinySize);
    for (;;) {
      const { value } = await lesson.next();
      if (value?.kind === "curves") break;
    }
    controller.abort(new Error("enough"));
    await expect(piecesOf(lesson)).rejects.toThrow("enough");
    expect(backend.bytesInUse()).toBe(0);
  });
});
