/** Steps of a training: as micro-batches and as one batch, twice, and with several threads. */
import type { Backend } from "../../backend/backend.ts";
import type { TrainerConfig } from "../../config/config.ts";
import { presets } from "../../config/presets.ts";
import { createTrainer } from "../../trainer/trainer.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { firstDifference, type Shape, shapes, tokens, vocabSize } from "./small-models.ts";

const batchSize = 8;
const text = tokens(2000, 7);

/** Windows in the order of the text, so that a batch and its micro-batches have the same. */
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

/** Of the gradient's length: the order of a sum may differ, and nothing else. */
const tolerance = 1e-5;

/** The gradient of a batch is that of its micro-batches. */
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
          `the gradient of 4 micro-batches is ${difference.toExponential(1)} of its length away from the batch's, in ${shape.name} (${form.words})`,
          advice,
        );
      worst = Math.max(worst, difference);
    }
  }
  const digits = worst === 0 ? "to the bit" : `to ${worst.toExponential(0)}`;
  return ok(`4 micro-batches give one batch's gradient, ${digits}`);
};

/** Updates of a run whose weights are compared. */
const steps = 3;

const weightsAfter = async (form: Form, threads: number, shape: Shape): Promise<Float32Array> =>
  withBackend(form, threads, async (backend) => {
    const trainer = createTrainer(backend, configOf(shape, 1, { dropout: 0.1, rows: 16 }), vocabSize, text);
    for (let step = 0; step < steps; step++) await trainer.step(step);
    const weights = Float32Array.from(await backend.read(trainer.model.arena.storage));
    trainer.close();
    return weights;
  });

/** A run has the same bits twice, and with other numbers of threads. */
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
        const what = count === 1 ? "a second run has" : `${count} threads have`;
        return failed(
          `${what} other bits than the first run with 1 thread, after ${steps} steps in ${shape.name} (${form.words})`,
          advice,
        );
      }
    }
  }
  const others = threads.length === 0 ? "" : ` and with ${threads.join(" and ")} threads`;
  return ok(`the same bits twice${others}`);
};
