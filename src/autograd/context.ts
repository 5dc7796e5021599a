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
} from "../core/checks/check-arguments.ts";
import type { RandomKey } from "../core/random.ts";
import type { RealDType } from "../core/tensors/dtype.ts";
import { createTape, type Tape } from "./tape.ts";
import { createMemory, type Memory, type Tensor } from "./tensor.ts";

/**
 * The random numbers of dropout in one forward pass: a key, and a number for each place in the model that drops
 * elements. Places are numbered in the order of use.
 * @experimental
 */
export interface DropoutSource {
  /** Key of the random numbers, from `randomKey`. */
  readonly key: RandomKey;
  /** Number of the next dropout place. */
  nextSite(): number;
}

/**
 * Every op receives a context: the backend, memory for temporaries, the tape if gradients are recorded, and dropout.
 * @experimental
 */
export interface Context {
  /** Runs the kernels. */
  readonly backend: Backend;
  /** Owns the temporary tensors. */
  readonly memory: Memory;
  /** The tape. If null, nothing is recorded. */
  readonly tape: Tape | null;
  /** Source of dropout masks. If null, nothing is dropped, as in evaluation. */
  readonly dropout: DropoutSource | null;
  /** Returns the rounded copy of a weight. Matrix products read this copy. If null, products read the weight itself. */
  readonly rounded: Rounded | null;
  /**
   * Whether a model's blocks keep only their inputs and are computed again in the backward pass. Recomputation saves
   * memory and does not change the bits. Recomputation costs about the time of one more forward pass. Default: false.
   */
  readonly recomputes?: boolean;
  /**
   * Whether products convert quantized weights (4 to 8 bits) to real numbers even if nothing is recorded. Set it for
   * work that is repeated and recorded later, because recorded products always convert quantized weights. Default:
   * false.
   */
  readonly widens?: boolean;
}

/** Returns the copy of a weight in the number format of products. */
export type Rounded = (weight: Tensor) => Tensor;

/** Returns the weight that products read: the rounded copy if there is a copy, otherwise the weight itself. */
export const factorOf = ({ rounded }: Context, weight: Tensor): Tensor => (rounded === null ? weight : rounded(weight));

/**
 * A context that records ops on a tape. `backward` computes gradients from the tape.
 * @experimental
 */
export interface TrainingContext extends Context {
  readonly tape: Tape;
}

/**
 * Gives the dropout places the numbers `first`, `first` + 1, … under `key`.
 * @experimental
 * @param first a whole number from 0. The forward passes of one step must not share numbers.
 */
export const dropoutSource = (key: RandomKey, first = 0): DropoutSource => {
  checkRandomKey("dropoutSource: key", key);
  checkWhole("dropoutSource: first", first);
  let site = first;
  return { key, nextSite: () => site++ };
};

const realOf = (backend: Backend): RealDType => (backend.capabilities.real.includes("float32") ? "float32" : "float64");

/**
 * A context for inference: no gradients, no dropout. The caller must close its memory.
 * @experimental
 */
export const inferenceContext = (backend: Backend, rounded: Rounded | null = null): Context => {
  checkBackend("inferenceContext: backend", backend);
  return { backend, memory: createMemory(backend, realOf(backend)), tape: null, dropout: null, rounded };
};

/** A context that records gradients. If `dropout` is null, nothing is dropped. */
export const trainingContext = (
  backend: Backend,
  dropout: DropoutSource | null,
  rounded: Rounded | null = null,
): TrainingContext => {
  const memory = createMemory(backend, realOf(backend));
  return { backend, memory, tape: createTape(backend, memory), dropout, rounded };
};

/**
 * Releases a temporary tensor after its last use in the forward pass. If a tape records the pass, the tape releases the
 * tensor later, in the backward pass.
 */
export const spend = ({ tape, memory }: Context, tensor: Tensor): void => {
  if (tape === null) memory.release(tensor);
};

/**
 * Runs `work` in a context and frees the context's temporaries when `work` returns or throws. Tensors computed in the
 * context must not be used afterwards.
 * @experimental
 * @param context from `inferenceContext`. Use it only in this call. For a recording context see `Gradients`.
 * @returns the result of `work`.
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
 * Runs the backward pass from `total`. The gradient of scale · `total` is added to the gradient of every weight that
 * the context's tape watches. The call consumes the tape, so it works only once per context. The call also frees
 * `total`, so read the value of `total` before this call.
 * @experimental
 * @param total a sum, [1], for example from `crossEntropyLoss`.
 * @param scale factor on every gradient; 1 / predictions turns the gradient of a sum into the gradient of a mean.
 * @throws ShapeError if `total` is not one number.
 */
export const backward = (context: TrainingContext, total: Tensor, scale = 1): void => {
  checkTrainingContext("backward: context", context);
  checkTensor("backward: total", total);
  checkNumber("backward: scale", scale);
  context.tape.backward(total, context.memory.upload(Float32Array.of(scale), [1]));
};
