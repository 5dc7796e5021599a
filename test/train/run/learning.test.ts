import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { TrainerConfig } from "#foretoken/config/config.js";
import { presets } from "#foretoken/config/presets.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { evaluate } from "#foretoken/evaluate/evaluate.js";
import { createTrainer, type StepResult } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { bookModel } from "../../support/models.ts";

/** A first-order Markov chain. Row i contains the probabilities of the token after token i. */
type Chain = readonly (readonly number[])[];

const draw = (chain: Chain, length: number, seed: number): Int32Array => {
  const random = randomStream(randomKey(seed, "batches"));
  const ids = new Int32Array(length);
  for (let i = 1; i < length; i++) {
    const row = chain[ids[i - 1] as number] as readonly number[];
    let left = random.uniform();
    let next = 0;
    while (next < row.length - 1 && left >= (row[next] as number)) left -= row[next++] as number;
    ids[i] = next;
  }
  return ids;
};

const entropy = (row: readonly number[]): number => -row.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);

/**
 * The lowest possible loss on an endless text, in nats per token. This loss is the mean entropy of the rows, weighted
 * by their frequency.
 */
const entropyRate = (chain: Chain): number => {
  let shares = chain.map(() => 1 / chain.length);
  for (let i = 0; i < 500; i++) {
    shares = chain.map((_, to) => shares.reduce((sum, share, from) => sum + share * (chain[from]?.[to] ?? 0), 0));
  }
  return shares.reduce((sum, share, i) => sum + share * entropy(chain[i] ?? []), 0);
};

const chain: Chain = [
  [0, 0.8, 0.1, 0.1, 0],
  [0.05, 0, 0.7, 0, 0.25],
  [0.5, 0, 0, 0.5, 0],
  [0.1, 0.1, 0.1, 0.1, 0.6],
  [0.9, 0.1, 0, 0, 0],
];

const config = (steps: number): TrainerConfig => ({
  model: { ...bookModel, contextLength: 16, nLayer: 2, nHead: 2, nEmbd: 32 },
  train: {
    ...presets.quick.train,
    steps,
    batchSize: 16,
    learningRate: 1e-2,
    warmupSteps: 10,
    schedule: { kind: "cosine", minLearningRate: 1e-4 },
  },
});

interface Learned {
  readonly first: number;
  /** Mean loss of the last tenth of the steps. */
  readonly last: number;
  readonly held: number;
}

const learn = async (
  backend: Backend,
  plan: TrainerConfig,
  vocabSize: number,
  text: Int32Array,
  held: Int32Array,
): Promise<Learned> => {
  const trainer = createTrainer(backend, plan, vocabSize, text);
  const results: StepResult[] = [];
  for (let step = 0; step < plan.train.steps; step++) results.push(await trainer.step(step));
  const { natsPerToken } = await evaluate(trainer.model, { ids: held, characters: held.length, bytes: held.length });
  trainer.close();
  const tail = results.slice(-Math.ceil(results.length / 10));
  return {
    first: results[0]?.loss ?? Number.NaN,
    last: tail.reduce((sum, { loss }) => sum + loss, 0) / tail.length,
    held: natsPerToken,
  };
};

forEachBackend(
  "a small model",
  ({ open }) => {
    const withBackend = async <T>(work: (backend: Backend) => Promise<T>): Promise<T> => {
      const backend = await open(2);
      try {
        return await work(backend);
      } finally {
        await backend.close();
      }
    };

    it("learns a text that repeats itself: the loss goes to 0", async () => {
      // The tokens 0 1 2 3 0 1 2 5, repeated. The token after a 2 depends on the token four places earlier.
      const period = [0, 1, 2, 3, 0, 1, 2, 5];
      const text = Int32Array.from({ length: 3000 }, (_, i) => period[i % 8] as number);
      const { first, held } = await withBackend((backend) =>
        learn(backend, config(150), 6, text, text.subarray(0, 800)),
      );
      expect(first).toBeGreaterThan(Math.log(6) - 0.3);
      // In a window of 16 tokens, no earlier token determines the token after the first 2. So the model must guess
      // between two tokens, which costs ln 2 / 16 = 0.043.
      expect(held).toBeLessThan(0.1);
    });

    it("learns a random language to its entropy and no further, on held-out text", async () => {
      const text = draw(chain, 40_000, 1);
      const held = draw(chain, 8_000, 2);
      // Loss on exactly this text of a model that knows the chain. On a held-out text, the mean loss differs by chance
      // from the entropy.
      const rate = entropyRate(chain);
      let known = 0;
      for (let i = 1; i < held.length; i++) known -= Math.log(chain[held[i - 1] as number]?.[held[i] as number] ?? 0);
      known /= held.length - 1;
      expect(Math.abs(known - rate)).toBeLessThan(0.03);
      const result = await withBackend((backend) => learn(backend, config(250), 5, text, held));
      expect(result.held).toBeGreaterThan(known - 0.005);
      expect(result.held).toBeLessThan(known + 0.05);
      expect(result.last).toBeGreaterThan(rate - 0.05);
    });

    it("cannot foretell noise: no loss falls below ln V, in training neither (a leak of the future would)", async () => {
      // The text is too long to memorize in these steps: 250 · 16 windows of 16 tokens cover a quarter of it.
      const vocabSize = 4;
      const uniform: Chain = Array.from({ length: vocabSize }, () => new Array<number>(vocabSize).fill(1 / vocabSize));
      const text = draw(uniform, 250_000, 3);
      const held = draw(uniform, 8_000, 4);
      const result = await withBackend((backend) => learn(backend, config(250), vocabSize, text, held));
      expect(result.last).toBeGreaterThan(Math.log(vocabSize) - 0.02);
      expect(result.held).toBeGreaterThan(Math.log(vocabSize) - 0.005);
      expect(result.held).toBeLessThan(Math.log(vocabSize) + 0.05);
    });
  },
  compiled,
);

describe("the yardstick", () => {
  it("is right: entropies of chains that are known", () => {
    expect(entropyRate([[0.5, 0.5], [0.5, 0.5]])).toBeCloseTo(Math.LN2, 12); // biome-ignore format: matrices
    expect(entropyRate([[0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])).toBeCloseTo(0.4 * Math.LN2, 6); // biome-ignore format: matrices
  });
});
