/**
 * Adds the gradients of a step's passes in a fixed order: along a binary tree over the numbers of the passes. The sum
 * of passes [from, to) is the sum of two halves; with an odd number of passes, the first half has one more. So the bits
 * of a step do not depend on how its passes are grouped into micro-batches. They do not depend on the number of
 * machines either, if each machine has a whole branch of the tree: each of 2ᵏ machines has one of the 2ᵏ branches of
 * depth k.
 */
import type { Storage } from "../backend/backend.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { createGradients, type Gradients } from "../models/gradients.ts";
import { type Model, trainedPart } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import { addLosses, type Losses } from "./losses.ts";

/** The first pass in the second half of [from, to). */
export const middleOf = (from: number, to: number): number => from + Math.ceil((to - from) / 2);

/** Number of gradient arrays for a sum of `count` passes: ⌊log₂ count⌋ + 1. */
export const arraysOfSum = (count: number): number => 32 - Math.clz32(count);

/**
 * Computes the gradient of pass `number` into `gradients`; returns the pass's part of the losses. It is called in the
 * order of the passes.
 * @param onComplete given only for the last pass. It may be called with elements of `gradients` that are complete
 * before the pass has ended.
 */
export type GradientOfPass = (
  number: number,
  gradients: Gradients,
  onComplete?: (range: Range) => void,
) => Promise<Losses>;

/** Sum of the passes' gradients. */
export interface GradientSum {
  /** The complete sum. */
  readonly total: Gradients;
  /** All arrays that gradients are written to. */
  readonly storages: readonly Storage[];
  /**
   * Computes the sum over passes [from, to). Returns the sum of their parts of the losses, added along the same tree.
   * @param onComplete called with elements of `total` that are complete while the last pass still computes other
   * elements; at most once per element.
   */
  add(from: number, to: number, gradientOf: GradientOfPass, onComplete?: (range: Range) => void): Promise<Losses>;
  close(): void;
}

/** Allocates memory for the sum of `count` passes' gradients. If it fails, nothing stays allocated. */
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
  const storages = arrays.map(({ arena }) => arena.storage);

  /** Adds elements of `other`, which is array `depth` + 1, to array `depth`. */
  const addUp = (depth: number, other: Storage, { from, to }: Range): void => {
    const y = { storage: arrayAt(depth).arena.storage, offset: from };
    backend.run("add", { a: y, b: { storage: other, offset: from }, y, n: to - from });
  };

  /**
   * Sums passes [from, to) in array `depth`. The first half is computed in that array too, so only a second half needs
   * one more array.
   * @param ofLast given only for the branch with the last pass. Complete elements of the last pass may be added early.
   */
  const addBranch = async (
    from: number,
    to: number,
    depth: number,
    gradientOf: GradientOfPass,
    ofLast?: LastPass,
  ): Promise<Losses> => {
    if (to - from === 1) return gradientOf(from, arrayAt(depth), ofLast?.onComplete(depth));
    const middle = middleOf(from, to);
    const first = await addBranch(from, middle, depth, gradientOf);
    const second = await addBranch(middle, to, depth + 1, gradientOf, ofLast);
    const { storage } = arrayAt(depth + 1).arena;
    for (const range of ofLast?.left() ?? [{ from: 0, to: layout.length }]) addUp(depth, storage, range);
    return addLosses(first, second);
  };

  /** Adds complete elements of the last pass up the tree, into the sum of all passes. */
  const lastPass = (tell: (range: Range) => void): LastPass => {
    const told: Range[] = [];
    return {
      onComplete: (depth) => (range) => {
        // This uses the storage, not `arena`, because `arena` would write zeros to elements that are still to be
        // computed.
        for (let up = depth - 1; up >= 0; up--) addUp(up, storages[up + 1] as Storage, range);
        told.push(range);
        tell(range);
      },
      left: () => gapsBetween(told, layout.length),
    };
  };

  return {
    total: arrayAt(0),
    storages,
    add: (from, to, gradientOf, onComplete) =>
      addBranch(from, to, 0, gradientOf, onComplete === undefined ? undefined : lastPass(onComplete)),
    close,
  };
};

interface LastPass {
  /** Returns a function that adds elements that are complete in array `depth`. */
  onComplete(depth: number): (range: Range) => void;
  /** The elements that have not been added yet. */
  left(): readonly Range[];
}

/** The parts of [0, length) that no range covers. Ranges do not overlap. */
const gapsBetween = (ranges: readonly Range[], length: number): readonly Range[] => {
  const gaps: Range[] = [];
  let at = 0;
  for (const { from, to } of [...ranges].sort((one, other) => one.from - other.from)) {
    if (from > at) gaps.push({ from: at, to: from });
    at = to;
  }
  if (at < length) gaps.push({ from: at, to: length });
  return gaps;
};
