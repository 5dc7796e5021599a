/**
 * A small model that is trained step by step, with the library's public functions. The losses equal the losses in the
 * terminal lessons.
 */
import type * as Foretoken from "../../../src/browser.ts";
import type { TrainerConfig } from "../../../src/config/config.ts";

/** Type of the library that the page loads. */
export type Library = typeof Foretoken;

export interface Learner {
  readonly lm: Foretoken.LanguageModel;
  /** The same weights with the causal mask. This learner owns them. */
  readonly masked: Foretoken.LanguageModel;
  /** Makes one update; the first step is 0. @returns the loss before the update, in nats per token. */
  step(step: number): Promise<number>;
  /** Reads the weights and the optimizer's moments. With the step number, they are the whole state of the training. */
  read(): Promise<readonly Float32Array[]>;
  /** Replaces the weights and the optimizer's moments by `arrays`. */
  restore(arrays: readonly Float32Array[]): void;
  close(): void;
}

export const createLearner = (
  library: Library,
  backend: Foretoken.Backend,
  config: TrainerConfig,
  tokenizer: Foretoken.Tokenizer,
  trainIds: Int32Array,
): Learner => {
  const { contextLength } = config.model;
  const { batchSize, seed, maxGradNorm } = config.train;
  const model = library.freshModel(backend, config.model, tokenizer.vocabSize, seed);
  const gradients = library.createGradients(model);
  const optimizer = library.createOptimizer(backend, model.layout, config.train.optimizer);
  const arenas = [model.arena, ...optimizer.state.map(({ arena }) => arena)];
  return {
    lm: library.languageModel(model, tokenizer),
    masked: library.languageModel({ ...model, config: { ...model.config, mask: "causal" } }, tokenizer),
    async step(step) {
      const { x, y, rows, time } = library.trainingBatch(trainIds, { batchSize, contextLength, seed, step });
      gradients.clear();
      const total = await gradients.record(
        async (context) => {
          const sum = library.forwardLoss(context, model, x, y, rows, time); // [1]
          const reading = library.readScalar(backend, sum);
          library.backward(context, sum, 1 / y.length);
          return reading;
        },
        null,
        model.rounded()?.of,
      );
      const gradNorm = await gradients.norm();
      optimizer.update({
        values: model.arena,
        gradients: gradients.arena,
        step: step + 1,
        learningRate: library.learningRateAt(config.train, step),
        gradScale: library.clipFactor(gradNorm, maxGradNorm),
        rounded: model.rounded(),
      });
      return total / y.length;
    },
    read: () => Promise.all(arenas.map(async ({ storage }) => Float32Array.from(await backend.read(storage)))),
    restore(arrays) {
      for (const [i, { storage }] of arenas.entries()) backend.write(storage, arrays[i] ?? new Float32Array());
      model.weightsChanged();
      optimizer.forget();
    },
    close() {
      optimizer.close();
      gradients.close();
      model.close();
    },
  };
};
