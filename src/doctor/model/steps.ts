/**
 * Checks training steps. Micro-batches must give the gradient of one batch. A second run and runs with several threads
 * must give the same bits.
 */
import type { Backend } from "../../backend/backend.ts";
import type { TrainerConfig } from "../../config/config.ts";
import { presets } from "../../config/presets.ts";
import { createTrainer } from "../../trainer/trainer.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { firstDifference, type Shape, shapes, tokens, vocabSize } from "./small-models.ts";

const batchSize = 8;
const text = tokens(2000, 7);

/** Configuration in which a batch and its micro-batches contain the same windows. */
const configOf = (
  { config }: Shape,
  gradAccumSteps: number,
  { dropout, rows = batchSize }: { readonly dropout: number; readonly rows?: number },
): TrainerConfig => ({
  model: { ...config, dropout, zeroProjections: false },
  train: { ...presets.shakespeare.train, batchSize: rows / gradAccumSteps, gradAccumSteps, windows: "shuffled" },
});

const gradientOf = async (backend: Backend, config: TrainerConfig): Promise<Float32Array> => {
  const trainer = createTrainer(backend, config, vocabSize, text);
  await trainer.measure(0);
  const gradient = Float32Array.from(await backend.read(trainer.gradients.arena.storage));
  trainer.close();
  return gradient;
};

const normOf = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));

/**
 * Tolerance relative to the norm of the gradient. The two gradients differ only because their sums have a different
 * order.
 */
const tolerance = 1e-5;

/** Checks that micro-batches give the gradient of one batch. */
export const checkAccumulation = async (forms: readonly Form[], advice: string): Promise<Verdict> => {
  let worst = 0;
  for (const form of forms) {
    for (const shape of shapes) {
      const [one, several] = await withBackend(
        form,
        1,
        async (backend) =>
          [
            await gradientOf(backend, configOf(shape, 1, { dropout: 0 })),
            await gradientOf(backend, configOf(shape, 4, { dropout: 0 })),
          ] as const,
      );
      const difference = normOf(one.map((value, i) => value - (several[i] ?? Number.NaN))) / normOf(one);
      if (!(difference <= tolerance))
        return failed(
          `the gradient of 4 micro-batches differs from the gradient of the whole batch by ${difference.toExponential(1)} of its norm, in ${shape.name} (${form.words})`,
          advice,
        );
      worst = Math.max(worst, difference);
    }
  }
  const digits = worst === 0 ? "to the bit" : `within ${worst.toExponential(0)}`;
  return ok(`4 micro-batches and one batch give the same gradient, ${digits}`);
};

/** Number of optimizer steps before weights are compared. */
const steps = 3;

const weightsAfter = async (form: Form, threads: number, shape: Shape): Promise<Float32Array> =>
  withBackend(form, threads, async (backend) => {
    const trainer = createTrainer(backend, configOf(shape, 1, { dropout: 0.1, rows: 16 }), vocabSize, text);
    for (let step = 0; step < steps; step++) await trainer.step(step);
    const weights = Float32Array.from(await backend.read(trainer.model.arena.storage));
    trainer.close();
    return weights;
  });

/** Checks that a second run, and runs with other numbers of threads, give the same bits. */
export const checkDeterminism = async (
  forms: readonly Form[],
  threads: readonly number[],
  advice: string,
): Promise<Verdict> => {
  for (const form of forms) {
    for (const shape of shapes) {
      const first = await weightsAfter(form, 1, shape);
      for (const count of [1, ...threads]) {
        const again = await weightsAfter(form, count, shape);
        if (firstDifference(again, first) < 0) continue;
        const what = count === 1 ? "a second run gives" : `${count} threads give`;
        return failed(
          `${what} other weights than the first run with 1 thread, after ${steps} steps in ${shape.name} (${form.words})`,
          advice,
        );
      }
    }
  }
  const others = threads.length === 0 ? "" : `, also with ${threads.join(" and ")} threads`;
  return ok(`two runs give the same bits${others}`);
};
