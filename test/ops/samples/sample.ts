import { type Context, type DropoutSource, dropoutSource } from "#foretoken/autograd/context.js";
import type { Tensor } from "#foretoken/autograd/tensor.js";
import { randomKey } from "#foretoken/core/random.js";
import type { Shape } from "#foretoken/core/tensors/shape.js";

/**
 * One case of an op for the gradient check. The check uses finite differences in float64 on the reference backend.
 * Inputs are random numbers of magnitude 1.
 */
export interface OpSample {
  readonly name: string;
  /** Inputs of real numbers. The gradient of each input is checked. */
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly run: (context: Context, inputs: Readonly<Record<string, Tensor>>) => Tensor;
}

/** An input of a sample, by name. */
export const sampleInput = (inputs: Readonly<Record<string, Tensor>>, name: string): Tensor => {
  const tensor = inputs[name];
  if (tensor === undefined) throw new Error(`sample: input ${name} must be declared`);
  return tensor;
};

/** Random numbers for dropout. Each call returns the same numbers. */
export const sampleDropout = (): DropoutSource => dropoutSource(randomKey(1, "dropout"));
