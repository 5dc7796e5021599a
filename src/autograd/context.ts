import type { Backend } from "../backend/backend.ts";
import {
  checkBackend,
  checkContext,
  checkFunction,
  checkNumber,
  checkRandomKey,
  checkTensor,
  checkTrainingContext,
  checkWhole,
} from "../core/check-arguments.ts";
import type { RealDType } from "../core/dtype.ts";
import type { RandomKey } from "../core/random.ts";
import { createTape, type Tape } from "./tape.ts";
import { createMemory, type Memory, type Tensor } from "./tensor.ts";

/** Dropout's randomness in one forward pass: a key, and a number for each place that drops, in order of use. */
export interface DropoutSource {
  readonly key: RandomKey;
  /** The number of the next place, in order of use. */
  nextSite(): number;
}

/** What an op runs in: where, with which temporaries, whether gradients are recorded and whether dropout drops. */
export interface Context {
  readonly backend: Backend;
  readonly memory: Memory;
  /** null: nothing is recorded. */
  readonly tape: Tape | null;
  /** null: evaluation, dropout does nothing. */
  readonly dropout: DropoutSource | null;
  /** What products take in place of a weight; null: the weight itself. */
  readonly rounded: Rounded | null;
}

/** The copy of a weight that is rounded to what products are multiplied from. */
export type Rounded = (weight: Tensor) => Tensor;

/** A weight as products take it. */
export const factorOf = ({ rounded }: Context, weight: Tensor): Tensor => (rounded === null ? weight : rounded(weight));

/** A context that records: `backward` turns what was computed in it into gradients. */
export interface TrainingContext extends Context {
  readonly tape: Tape;
}

/**
 * Numbers the places that drop `first`, `first` + 1, … under `key`.
 * @param first a whole number from 0; passes of one step must not share places.
 */
export const dropoutSource = (key: RandomKey, first = 0): DropoutSource => {
  checkRandomKey("dropoutSource: key", key);
  checkWhole("dropoutSource: first", first);
  let site = first;
  return { key, nextSite: () => site++ };
};

const realOf = (backend: Backend): RealDType => (backend.capabilities.real.includes("float32") ? "float32" : "float64");

/** A context for inference: no gradients, no dropout. Close its memory when done. */
export const inferenceContext = (backend: Backend, rounded: Rounded | null = null): Context => {
  checkBackend("inferenceContext: backend", backend);
  return { backend, memory: createMemory(backend, realOf(backend)), tape: null, dropout: null, rounded };
};

/** A context that records gradients. `dropout` null turns dropout off. */
export const trainingContext = (
  backend: Backend,
  dropout: DropoutSource | null,
  rounded: Rounded | null = null,
): TrainingContext => {
  const memory = createMemory(backend, realOf(backend));
  return { backend, memory, tape: createTape(backend, memory), dropout, rounded };
};

/**
 * Gives back a temporary that has been used for the last time on the way forward. Where that way is recorded, the tape does
 * so, when it has gone back.
 */
export const spend = ({ tape, memory }: Context, tensor: Tensor): void => {
  if (tape === null) memory.release(tensor);
};

/**
 * Runs `work` in a context and frees its temporaries, whether it returns or throws: no tensor computed in the context
 * may be used after that.
 * @param context one of `inferenceContext` or `trainingContext`, for this once.
 * @returns what `work` returns.
 */
export const withContext = async <C extends Context, T>(
  context: C,
  work: (context: C) => T | Promise<T>,
): Promise<T> => {
  checkContext("withContext: context", context);
  try {
    checkFunction("withContext: work", work);
    return await work(context);
  } finally {
    context.memory.close();
  }
};

/**
 * Goes back through all that `total` was computed from: adds the gradient of scale · `total` to the gradient of every
 * weight that the context's tape watches. Uses the tape up, once only, and gives back the memory of `total` itself:
 * read it before.
 * @param total a sum, [1], as of `crossEntropyLoss`.
 * @param scale factor on every gradient; 1 / predictions makes the gradient of a sum that of a mean.
 * @throws ShapeError if `total` is not one number.
 */
export const backward = (context: TrainingContext, total: Tensor, scale = 1): void => {
  checkTrainingContext("backward: context", context);
  checkTensor("backward: total", total);
  checkNumber("backward: scale", scale);
  context.tape.backward(total, context.memory.upload(Float32Array.of(scale), [1]));
};
