/**
 * The gradients of a step's passes, added in a fixed order: along a binary tree over their numbers. Passes [from, to)
 * are the sum of two halves, of which the first has the odd one. So the bits of a step depend neither on how its passes
 * are grouped into micro-batches nor on how many machines share them, as long as each has a whole branch of the tree:
 * 2ᵏ machines have its 2ᵏ branches of depth k.
 */
import type { Storage } from "../../backend/backend.ts";
import { closeOnError } from "../../core/close-on-error.ts";
import { createGradients, type Gradients } from "../../models/gradients.ts";
import { type Model, trainedPart } from "../../models/model.ts";

/** The pass that the second half of [from, to) begins with. */
export const middleOf = (from: number, to: number): number => from + Math.ceil((to - from) / 2);

/** Number of gradient arrays for a sum of `count` passes: ⌊log₂ count⌋ + 1. */
export const arraysOfSum = (count: number): number => 32 - Math.clz32(count);

/** Computes the gradient of pass `number` into `gradients`; returns its part of the loss. Passes come in order. */
export type GradientOfPass = (number: number, gradients: Gradients) => Promise<number>;

/** Sum of the passes' gradients. */
export interface GradientSum {
  /** The sum, when it is complete. */
  readonly total: Gradients;
  /** All arrays that gradients are written to. */
  readonly storages: readonly Storage[];
  /** Computes the sum over passes [from, to); returns the sum of their parts of the loss, added along the same tree. */
  add(from: number, to: number, gradientOf: GradientOfPass): Promise<number>;
  close(): void;
}

/** Memory for the sum of `count` passes' gradients. If it fails, nothing stays allocated. */
export const createGradientSum = (model: Model, count: number): GradientSum => {
  const { backend } = model;
  const { layout } = trainedPart(model);
  const arrays: Gradients[] = [];
  const close = (): void => {
    for (const one of arrays.splice(0).reverse()) one.close();
  };
  closeOnError(close, () => {
    while (arrays.length < arraysOfSum(count)) arrays.push(createGradients(model));
  });
  const arrayAt = (depth: number): Gradients => {
    const array = arrays[depth];
    if (array === undefined) throw new Error(`a sum of ${count} passes has no array ${depth}`);
    return array;
  };
  const viewOf = ({ arena }: Gradients) => ({ storage: arena.storage, offset: 0 });

  /** Sums [from, to) in array `depth`: the first half is made there too, so only second halves take one more array. */
  const addBranch = async (from: number, to: number, depth: number, gradientOf: GradientOfPass): Promise<number> => {
    if (to - from === 1) return gradientOf(from, arrayAt(depth));
    const middle = middleOf(from, to);
    const first = await addBranch(from, middle, depth, gradientOf);
    const second = await addBranch(middle, to, depth + 1, gradientOf);
    const y = viewOf(arrayAt(depth));
    backend.run("add", { a: y, b: viewOf(arrayAt(depth + 1)), y, n: layout.length });
    return first + second;
  };

  return {
    total: arrayAt(0),
    storages: arrays.map(({ arena }) => arena.storage),
    add: (from, to, gradientOf) => addBranch(from, to, 0, gradientOf),
    close,
  };
};
