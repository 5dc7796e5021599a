import { dropoutSource, trainingContext, withContext } from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { ConfigError } from "../core/errors.ts";
import { randomKey } from "../core/random.ts";
import { trainingBatch } from "../data/batches.ts";
import { createArena, initialise } from "../models/arena.ts";
import { createModel, type Model, uploadIds } from "../models/model.ts";
import { logitsOf, transformer } from "../models/transformer.ts";
import { crossEntropy } from "../ops/cross-entropy.ts";
import { clipFactor } from "../optim/clip.ts";
import { createOptimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Optimizer } from "../optim/update.ts";
import type { RunConfig } from "./config.ts";

export interface StepResult {
  /** Nats per token, before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Before clipping. */
  readonly gradNorm: number;
}

/** A model, its optimizer and the arithmetic of one step. Knows nothing of events, files or time. */
export interface Trainer {
  readonly model: Model;
  readonly optimizer: Optimizer;
  /**
   * Update number `step` (0-based), on batches that are a function of (seed, step).
   * @throws ConfigError if the loss or the gradient is not finite; the weights are then still those before the step.
   */
  step(step: number): Promise<StepResult>;
  close(): void;
}

/** A trainer with freshly drawn weights; a resumed run then overwrites weights and moments. */
export const createTrainer = (
  backend: Backend,
  config: RunConfig,
  vocabSize: number,
  trainTokens: Int32Array,
): Trainer => {
  const trainer = undrawnTrainer(backend, config, vocabSize, trainTokens);
  initialise(backend, trainer.model.layout, trainer.model.arena, config.train.seed);
  return trainer;
};

/** A trainer with all weights zero. */
export const undrawnTrainer = (
  backend: Backend,
  config: RunConfig,
  vocabSize: number,
  trainTokens: Int32Array,
): Trainer => {
  const { train } = config;
  const { batchSize, gradAccumSteps, seed, maxGradNorm } = train;
  const { contextLength, dropout } = config.model;
  const model = createModel(backend, config.model, vocabSize);
  const gradients = createArena(backend, model.layout);
  const optimizer = createOptimizer(backend, model.layout, train.optimizer);
  const leaves = [...model.arena.tensors].map(([name, value]): [Tensor, Tensor] => {
    const gradient = gradients.tensors.get(name);
    if (gradient === undefined) throw new Error(`no gradient was laid out for ${name}`);
    return [value, gradient];
  });
  const tokensPerStep = batchSize * contextLength * gradAccumSteps;
  const all = { storage: gradients.storage, offset: 0 };

  return {
    model,
    optimizer,
    async step(step) {
      backend.run("fill", { y: all, n: model.layout.length, value: 0 });
      // One source for the whole step: each micro-batch drops at places of its own.
      const drops = dropout > 0 ? dropoutSource(randomKey(seed, "dropout", step)) : null;
      let loss = 0;
      for (let microStep = 0; microStep < gradAccumSteps; microStep++) {
        const batch = trainingBatch(trainTokens, { batchSize, contextLength, seed, step, microStep });
        const summed = await withContext(trainingContext(backend, drops), async (context) => {
          for (const [value, gradient] of leaves) context.tape.watch(value, gradient);
          const x = uploadIds(context, model, batch.x, batchSize, contextLength); // [B, T]
          const y = context.memory.upload(batch.y, [batchSize, contextLength]); // [B, T]
          const hidden = transformer(context, config.model, model.parameters, x); // [B, T, C]
          const total = crossEntropy(context, logitsOf(context, model.parameters, hidden), y); // [1]
          const reading = readTensor(backend, total);
          context.tape.backward(total, context.memory.upload(Float32Array.of(1 / tokensPerStep), [1]));
          return (await reading)[0] as number;
        });
        loss += summed / tokensPerStep;
      }
      const gradNorm = await withContext(trainingContext(backend, null), async ({ memory }) => {
        const squares = memory.allocate([1]);
        backend.run("sumOfSquares", { x: all, y: squares, n: model.layout.length });
        return Math.sqrt((await readTensor(backend, squares))[0] as number);
      });
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
        throw new ConfigError({
          where: `step ${step + 1}`,
          must: "loss and gradient must stay finite",
          got: `loss ${loss}, gradient norm ${gradNorm}`,
          hint:
            step === 0
              ? // No update has been made yet: the learning rate had no part in it.
                "a smaller model.initStd"
              : "a lower train.learningRate, train.warmupSteps, or train.maxGradNorm 1",
        });
      }
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, maxGradNorm);
      optimizer.update({ values: model.arena, gradients, step: step + 1, learningRate, gradScale });
      return { loss, learningRate, gradNorm };
    },
    close() {
      optimizer.close();
      backend.free(gradients.storage);
      model.close();
    },
  };
};
