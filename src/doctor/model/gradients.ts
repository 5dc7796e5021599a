/**
 * Compares gradients from the tape with finite differences of the loss. The reference computes this loss in float64,
 * without a backward pass and without kernels of the checked backend.
 */
import { backward, inferenceContext, withContext } from "../../autograd/context.ts";
import { readScalar, readTensor } from "../../autograd/tensor.ts";
import type { Backend } from "../../backend/backend.ts";
import { openReference } from "../../backend/implementations/reference/reference.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import { yieldToHost } from "../../core/system/yield.ts";
import { crossEntropyLoss, forward } from "../../models/forward.ts";
import { createGradients } from "../../models/gradients.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { type Shape, shapes, smallModel, tokens } from "./small-models.ts";

const rows = 2;
const time = 19;
const inputs = tokens(rows * time, 3);
const targets = tokens(rows * time, 4);

/**
 * Step size h. The truncation error is of order h² and the rounding error is of order ε/h. Both errors are far below
 * the tolerance.
 */
const h = 1e-5;

/**
 * Tolerance relative to the norm of a parameter's gradient. The error is 1e-5 in float32. The error is 1e-1 if one of a
 * hundred elements is wrong.
 */
const relativeTolerance = 1e-3;
/**
 * Tolerance relative to the norm of all gradients. Some gradients (of key biases, for example) are zero except for
 * rounding. A tolerance relative to such a gradient's own norm would be too small.
 */
const floor = 1e-6;

/**
 * A sign, 1 or −1, for each element. The check multiplies each element of the gradient by its sign, adds the products,
 * and compares the sum with a finite difference.
 */
const signs = (seed: number, length: number): Int8Array => {
  const stream = randomStream(randomKey(seed, "sampling"));
  return Int8Array.from({ length }, () => (stream.integer(2) === 0 ? -1 : 1));
};

/** For each parameter: slope of the loss in the direction of the signs, from finite differences. */
const slopesOf = async (shape: Shape): Promise<ReadonlyMap<string, number>> => {
  const reference = await openReference({ real: "float64" });
  try {
    const model = smallModel(reference, shape);
    const { storage } = model.arena;
    const loss = (): Promise<number> =>
      withContext(inferenceContext(reference), async (context) => {
        const logits = forward(context, model, inputs, rows, time);
        return (await readScalar(reference, crossEntropyLoss(context, logits, targets))) / inputs.length;
      });
    const slopes = new Map<string, number>();
    for (const { name, offset, size } of model.layout.parameters) {
      const given = Float64Array.from(await reference.read(storage, offset, size));
      const along = signs(offset, size);
      const at = async (step: number): Promise<number> => {
        reference.write(
          storage,
          given.map((value, i) => value + step * (along[i] ?? 0)),
          offset,
        );
        model.weightsChanged();
        return loss();
      };
      slopes.set(name, ((await at(h)) - (await at(-h))) / (2 * h));
      reference.write(storage, given, offset);
      await yieldToHost();
    }
    return slopes;
  } finally {
    await reference.close();
  }
};

interface Slope {
  readonly name: string;
  readonly slope: number;
  /** Norm of the parameter's gradient. */
  readonly norm: number;
}

/** Slopes in the same directions, from the gradients of the backend's backward pass. */
const slopesFrom = async (backend: Backend, shape: Shape): Promise<readonly Slope[]> => {
  const model = smallModel(backend, shape);
  const gradients = createGradients(model);
  gradients.clear();
  await gradients.record(async (context) => {
    const total = crossEntropyLoss(context, forward(context, model, inputs, rows, time), targets);
    backward(context, total, 1 / inputs.length);
  });
  const slopes: Slope[] = [];
  for (const { name, offset, size } of model.layout.parameters) {
    const tensor = gradients.arena.tensors.get(name);
    if (tensor === undefined) throw new Error(`no gradient of ${name}`);
    const values = await readTensor(backend, tensor);
    const along = signs(offset, size);
    let [slope, squares] = [0, 0];
    for (let i = 0; i < size; i++) {
      slope += (values[i] as number) * (along[i] as number);
      squares += (values[i] as number) ** 2;
    }
    slopes.push({ name, slope, norm: Math.sqrt(squares) });
  }
  gradients.close();
  model.close();
  return slopes;
};

/** Creates a function that checks backends. The finite differences are computed only once. */
export const gradientChecker = () => {
  const known = new Map<Shape, Promise<ReadonlyMap<string, number>>>();
  const wantedOf = (shape: Shape): Promise<ReadonlyMap<string, number>> => {
    const wanted = known.get(shape) ?? slopesOf(shape);
    known.set(shape, wanted);
    return wanted;
  };
  return async (forms: readonly Form[], advice: string): Promise<Verdict> => {
    let compared = 0;
    for (const form of forms) {
      for (const shape of shapes) {
        const wanted = await wantedOf(shape);
        const slopes = await withBackend(form, 1, (backend) => slopesFrom(backend, shape));
        const whole = Math.sqrt(slopes.reduce((sum, { norm }) => sum + norm ** 2, 0));
        const wrong = slopes.filter(({ name, slope, norm }) => {
          const off = Math.abs(slope - (wanted.get(name) ?? Number.NaN));
          return !(off <= relativeTolerance * norm + floor * whole);
        });
        compared += slopes.length;
        const [first] = wrong;
        if (first === undefined) continue;
        const slope = first.slope.toPrecision(4);
        const difference = (wanted.get(first.name) ?? Number.NaN).toPrecision(4);
        return failed(
          `${wrong.length} of ${slopes.length} parameters are wrong in ${shape.name}: along ${first.name} the slope of the loss is ${difference}, but the gradient gives ${slope} (${form.words})`,
          advice,
        );
      }
    }
    return ok(`${compared} parameters agree with finite differences`);
  };
};
