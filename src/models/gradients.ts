import {
  type DropoutSource,
  type Rounded,
  type TrainingContext,
  trainingContext,
  withContext,
} from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { checkFunction, checkModel } from "../core/checks/check-arguments.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
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
  /**
   * The length of all of them as one vector, √Σg².
   * @param addend another array in their layout, which is added to them first; default: none.
   */
  norm(addend?: Storage): Promise<number>;
  /** Frees them. */
  close(): void;
}

/** Sums of squares of some ranges of an array. */
export interface Squares {
  /**
   * Σx² of each range, summed in double precision: valid until the next call.
   * @param addend its elements in the ranges are added to those of `storage` first.
   */
  of(storage: Storage, addend?: Storage): Promise<HostArray>;
  close(): void;
}

export const createSquares = (backend: Backend, ranges: readonly Range[]): Squares => {
  const count = ranges.length;
  const bounds = backend.alloc("int32", 2 * count);
  const sums = closeOnError(
    () => backend.free(bounds),
    () => backend.alloc(backend.capabilities.real[0] ?? "float32", count),
  );
  const close = (): void => {
    backend.free(sums);
    backend.free(bounds);
  };
  closeOnError(close, () => backend.write(bounds, Int32Array.from(ranges.flatMap(({ from, to }) => [from, to]))));
  const views = { ranges: { storage: bounds, offset: 0 }, squares: { storage: sums, offset: 0 } };
  const seen = backend.view?.(sums);
  return {
    async of(storage, addend) {
      const other = addend === undefined ? null : { storage: addend, offset: 0 };
      backend.run("addSquares", { x: { storage, offset: 0 }, addend: other, ...views, n: storage.length, count });
      return seen ?? backend.read(sums);
    },
    close,
  };
};

/** Σx² of each range of a storage, summed in double precision. */
export const sumsOfSquares = async (
  backend: Backend,
  storage: Storage,
  ranges: readonly Range[],
): Promise<HostArray> => {
  const squares = createSquares(backend, ranges);
  try {
    return (await squares.of(storage)).slice();
  } finally {
    squares.close();
  }
};

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
  let squares: Squares | undefined;
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
    async norm(addend) {
      fillBlank();
      squares ??= createSquares(backend, piecesOfLayout(layout));
      return normOf(await squares.of(arena.storage, addend));
    },
    close() {
      squares?.close();
      backend.free(arena.storage);
    },
  };
};
