import {
  type DropoutSource,
  inferenceContext,
  type Rounded,
  type TrainingContext,
  trainingContext,
  withContext,
} from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { checkFunction, checkModel } from "../core/checks/check-arguments.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { type Arena, createArena } from "./arena.ts";
import { checkTrainable, type Model, trainedPart } from "./model.ts";
import { piecesOfLayout, type Range } from "./pieces.ts";

/**
 * A number for each weight of a model: how the loss would change with it.
 * @experimental
 */
export interface Gradients {
  /** In the layout of the model's weights, or of its adapters if it has some; by a weight's name in `arena.tensors`. */
  readonly arena: Arena;
  /**
   * Sets all to zero: `backward` adds, without this to those of the step before. A matrix is only marked. What `backward`
   * adds first overwrites it, and it is filled where it is looked at before that.
   */
  clear(): void;
  /**
   * Runs `work` in a context that records what is computed from the model's weights, so that `backward` in it adds to
   * these gradients. Frees the context's temporaries at the end.
   * @param dropout where dropout drops; null, the default: nowhere.
   * @param rounded what products take in place of a weight; null, the default: the weight itself.
   * @param onComplete called in the backward pass for a weight to whose gradient nothing more will be added, with its place in
   *   the layout. Not for every weight: those of blocks that are computed again, for example, are left out.
   * @param on the backend that the work is done on; default: the model's, which any other stands for.
   * @returns what `work` returns.
   */
  record<T>(
    work: (context: TrainingContext) => T | Promise<T>,
    dropout?: DropoutSource | null,
    rounded?: Rounded | null,
    onComplete?: (range: Range) => void,
    on?: Backend,
  ): Promise<T>;
  /** The length of all of them as one vector, √Σg². */
  norm(): Promise<number>;
  /** Frees them. */
  close(): void;
}

/** Σx² of each range of a storage, summed in double precision. */
export const sumsOfSquares = (backend: Backend, storage: Storage, ranges: readonly Range[]): Promise<HostArray> =>
  withContext(inferenceContext(backend), ({ memory }) => {
    const sums = memory.allocate([ranges.length]);
    for (const [i, { from, to }] of ranges.entries()) {
      const y = { ...sums, offset: sums.offset + i };
      backend.run("sumOfSquares", { x: { storage, offset: from }, y, n: to - from });
    }
    return readTensor(backend, sums);
  });

/** The length of a vector from the sums of squares of its pieces, in order. */
export const normOf = (sums: HostArray): number => {
  let total = 0;
  for (const sum of sums) total += sum;
  return Math.sqrt(total);
};

/**
 * Gradients of a model's weights, all zero; of a model with adapters those of the adapters alone. The caller closes them.
 * @experimental
 * @throws ConfigError for a model with bfloat16 weights alone, and no adapters.
 */
export const createGradients = (model: Model): Gradients => {
  checkModel("createGradients: model", model);
  const { backend, adapter } = model;
  if (adapter === null) checkTrainable("createGradients: model", model);
  const { layout, arena: values } = trainedPart(model);
  const arena = createArena(backend, layout);
  const all = { storage: arena.storage, offset: 0 };
  // A gradient lies where its weight lies.
  const leaves = [...(adapter?.leaves ?? values.tensors.values())].map((value): [Tensor, Tensor] => [
    value,
    { ...value, storage: arena.storage },
  ]);
  const matrices = leaves.filter(([{ shape }]) => shape.length >= 2);
  /** Weights whose gradients are zero by agreement. */
  const blank = new Set<Tensor>();
  const fill = (value: Tensor, gradient: Tensor): void => {
    if (blank.delete(value)) backend.run("fill", { y: gradient, n: sizeOf(gradient.shape), value: 0 });
  };
  const fillBlank = (): void => {
    for (const [value, gradient] of matrices) fill(value, gradient);
  };
  const pieces = piecesOfLayout(layout);
  return {
    get arena() {
      fillBlank();
      return arena;
    },
    clear() {
      for (const [value] of matrices) blank.add(value);
      const { decayed, length } = layout;
      backend.run("fill", { y: { ...all, offset: decayed }, n: length - decayed, value: 0 });
    },
    record: (work, dropout = null, rounded = null, onComplete, on = backend) =>
      withContext(trainingContext(on, dropout, rounded), (context) => {
        checkFunction("record: work", work);
        for (const [value, gradient] of leaves) {
          const { offset, shape } = gradient;
          const complete = (): void => {
            fill(value, gradient);
            onComplete?.({ from: offset, to: offset + sizeOf(shape) });
          };
          context.tape.watch(value, gradient, blank, onComplete === undefined ? undefined : complete);
        }
        return work(context);
      }),
    async norm() {
      fillBlank();
      return normOf(await sumsOfSquares(backend, arena.storage, pieces));
    },
    close: () => backend.free(arena.storage),
  };
};
