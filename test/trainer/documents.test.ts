import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { TrainerConfig } from "#foretoken/config/config.js";
import { type Documents, documentsBuilder } from "#foretoken/data/documents.js";
import { documentRows } from "#foretoken/data/rows.js";
import { evaluate, measureDocuments } from "#foretoken/evaluate/evaluate.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { readPart } from "#foretoken/trainer/state.js";
import type { Team } from "#foretoken/trainer/team.js";
import { createTrainer, type StepResult } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { hashInteger } from "../support/hash.ts";
import { smallGroupedRun, smallRun } from "../support/runs.ts";
import { teamOf } from "../support/teams.ts";

const vocabSize = 13;
const contextLength = 16;

/**
 * Conversations of 2 to 30 tokens. Some of them are longer than the context. Answers of one to four tokens count in the
 * loss.
 */
const documents: Documents = (() => {
  const builder = documentsBuilder("d");
  for (let document = 0; document < 24; document++) {
    const turns = 1 + hashInteger("turns", document, 3);
    for (let turn = 0; turn < turns; turn++) {
      for (const [part, most] of [
        ["question", 6],
        ["answer", 4],
      ] as const) {
        const length = 1 + hashInteger(`${part} ${turn}`, document, most);
        const ids = Int32Array.from({ length }, (_, i) => hashInteger(`${part} ${turn} ${i}`, document, vocabSize));
        builder.add(ids, part === "answer");
      }
    }
    builder.end();
  }
  return builder.build();
})();

const configOf = (train: object, run: typeof smallRun | typeof smallGroupedRun = smallRun): TrainerConfig =>
  resolveConfig(run === smallRun ? "book" : "shakespeare", [run, { model: { dropout: 0 }, train }]);

/**
 * Sum of −ln p(target) in nats over the counted targets of some pieces. Each piece is computed separately from the
 * model's logits.
 */
const naturalLoss = async (
  logits: (ids: Int32Array) => Promise<ArrayLike<number>>,
  pieces: readonly (readonly [from: number, length: number])[],
): Promise<{ readonly sum: number; readonly targets: number }> => {
  let [sum, targets] = [0, 0];
  for (const [from, length] of pieces) {
    const data = await logits(documents.ids.slice(from, from + length));
    for (let t = 0; t < length; t++) {
      if (documents.counted[from + t + 1] !== 1) continue;
      const row = Array.from({ length: vocabSize }, (_, v) => data[t * vocabSize + v] as number);
      const total = row.reduce((all, one) => all + Math.exp(one), 0);
      sum -= (row[documents.ids[from + t + 1] as number] as number) - Math.log(total);
      targets++;
    }
  }
  return { sum, targets };
};

interface Measured {
  readonly loss: number;
  readonly gradients: Float32Array;
}

const measured = async (backend: Backend, config: TrainerConfig, step = 0): Promise<Measured> => {
  const trainer = createTrainer(backend, config, vocabSize, documents);
  const { loss } = await trainer.measure(step);
  const gradients = Float32Array.from(await backend.read(trainer.gradients.arena.storage));
  trainer.close();
  return { loss, gradients };
};

const distance = (one: Float32Array, other: Float32Array): number =>
  Math.hypot(...one.map((value, i) => value - (other[i] ?? Number.NaN))) / Math.hypot(...one);

for (const run of [smallRun, smallGroupedRun])
  forEachBackend(`steps on documents, ${run === smallRun ? "learned" : "rotary"} positions`, ({ open }) => {
    it.each(["packed", "one"] as const)("have the loss that each document has alone, %s", async (rows) => {
      const backend = await open(2);
      const config = configOf({ rows, batchSize: 3, gradAccumSteps: 2 }, run);
      const trainer = createTrainer(backend, config, vocabSize, documents);
      const tokenizer = charTokenizer([..."abcdefghijklm"], []);
      const lm = languageModel(trainer.model, tokenizer);
      const drawn = documentRows(documents, { contextLength, kind: rows, seed: 1 });
      for (const step of [0, 5]) {
        const pieces = Array.from({ length: 6 }, (_, row) => [...drawn.row(6 * step + row)]).flat();
        const { sum, targets } = await naturalLoss(
          async (ids) => (await lm.logits(ids)).data,
          pieces.map((piece) => [drawn.pieces.from[piece] as number, drawn.pieces.lengths[piece] as number]),
        );
        expect(trainer.sizeOf(step).targets).toBe(targets);
        expect((await trainer.measure(step)).loss).toBeCloseTo(sum / targets, 5);
      }
      // The same must hold for an evaluation of all documents.
      const { from, lengths } = drawn.pieces;
      const all = [...from].map((place, i) => [place, lengths[i] as number] as const);
      const { sum, targets } = await naturalLoss(async (ids) => (await lm.logits(ids)).data, all);
      const evaluation = await evaluate(trainer.model, measureDocuments(documents, tokenizer));
      expect(evaluation.tokens).toBe(targets);
      expect(evaluation.natsPerToken).toBeCloseTo(sum / targets, 5);
      // Each token is one character and one byte here.
      expect(evaluation.natsPerCharacter).toBeCloseTo(sum / targets, 5);
      expect(evaluation.bitsPerByte).toBeCloseTo(sum / targets / Math.LN2, 5);
      trainer.close();
      await backend.close();
    });

    it("have the same gradient packed, one in a row, and in micro-batches", async () => {
      const backend = await open(2);
      // Each of these arrangements is one pass over all documents.
      const packed = documentRows(documents, { contextLength, kind: "packed", seed: 1 });
      const batchSize = packed.perEpoch;
      const all = packed.pieces.lengths.length;
      const inPacks = await measured(backend, configOf({ rows: "packed", batchSize, gradAccumSteps: 1 }, run));
      const alone = await measured(backend, configOf({ rows: "one", batchSize: all, gradAccumSteps: 1 }, run));
      const accumulated = await measured(backend, configOf({ rows: "one", batchSize: 1, gradAccumSteps: all }, run));
      expect(batchSize).toBeLessThan(all);
      for (const other of [alone, accumulated]) {
        expect(other.loss).toBeCloseTo(inPacks.loss, 6);
        expect(distance(other.gradients, inPacks.gradients)).toBeLessThan(1e-5);
      }
      await backend.close();
    });

    it("are a function of the seed and the step, with any number of threads", async () => {
      const config = configOf({ rows: "packed", batchSize: 4, gradAccumSteps: 2 }, run);
      const [one, two] = [await open(1), await open(2)];
      const first = await measured(one, config, 7);
      expect(await measured(two, config, 7)).toEqual(first);
      expect((await measured(one, config, 8)).loss).not.toBe(first.loss);
      expect((await measured(one, configOf({ batchSize: 4, gradAccumSteps: 2, seed: 2 }, run), 7)).loss).not.toBe(
        first.loss,
      );
      await one.close();
      await two.close();
    });
  });

forEachBackend(
  "several machines on documents",
  ({ open }) => {
    it("have the bits of one, whose loss is the mean over the answers of all", async () => {
      const config = configOf({ rows: "packed", batchSize: 2, gradAccumSteps: 4 });
      const backend = await open(2);
      const trained = async (member?: Team) => {
        const trainer = createTrainer(backend, config, vocabSize, documents, member);
        const steps: StepResult[] = [];
        for (let step = 0; step < 3; step++) steps.push(await trainer.step(step));
        const weights = await readPart(trainer.snapshot().weights);
        trainer.close();
        return { steps, weights };
      };
      const alone = await trained();
      for (const member of await Promise.all(teamOf(2).map(trained))) expect(member).toEqual(alone);
      await backend.close();
    });
  },
  compiled,
);
