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
 * The gradient of the loss with respect to each weight of a model.
 * @experimental
 */
export interface Gradients {
  /**
   * Gradients in the layout of the model's weights. If the model has adapters, they have the layout of the adapters.
   * `arena.tensors` contains the gradient of each weight under the weight's name.
   */
  readonly arena: Arena;
  /**
   * Sets all gradients to zero. Call it before each step, because `backward` adds to the gradients. Matrices are only
   * marked as zero, and the next `backward` overwrites a marked matrix. A marked matrix that is read earlier is first
   * filled with zeros.
   */
  clear(): void;
  /**
   * Runs `work` in a context that records computations with the model's weights. If `work` calls `backward`, the
   * results are added to these gradients. Frees the context's temporaries at the end.
   * @param dropout source of dropout masks; default null: no dropout.
   * @param rounded bfloat16 copies of the weights; matrix products read them. Default null: products read the weights.
   * @param onComplete called in the backward pass when a weight's gradient is complete, with the weight's range in the
   * layout. Some weights get no call, for example the weights of recomputed blocks.
   * @param on backend that runs the kernels; default: the model's backend. Any other backend must be a wrapper of the
   * model's backend.
   * @returns the result of `work`.
   */
  record<T>(
    work: (context: TrainingContext) => T | Promise<T>,
    dropout?: DropoutSource | null,
    rounded?: Rounded | null,
    onComplete?: (range: Range) => void,
    on?: Backend,
  ): Promise<T>;
  /**
   * Length of all gradients as one vector, √Σg².
   * @param addend array in the same layout that is added to the gradients first; default: none.
   */
  norm(addend?: Storage): Promise<number>;
  /** Frees them. */
  close(): void;
}

/** Computes sums of squares over ranges of an array. */
export interface Squares {
  /**
   * Returns Σx² of each range, summed in double precision. The result is valid until the next call.
   * @param addend array that is added to `storage` before the sums are computed.
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

/** Length of a vector, computed from the sums of squares of its pieces, in order. */
export const normOf = (sums: HostArray): number => {
  let total = 0;
  for (const sum of sums) total += sum;
  return Math.sqrt(total);
};

/**
 * Creates gradients for a model's weights, all zero. A model with adapters gets gradients only for the adapters. The
 * caller must close the gradients.
 * @experimental
 * @throws ConfigError for a model that has only bfloat16 weights and no adapters.
 */
export const createGradients = (model: Model): Gradients => {
  checkModel("createGradients: model", model);
  const { backend, adapter } = model;
  if (adapter === null) checkTrainable("createGradients: model", model);
  const { layout, arena: values } = trainedPart(model);
  const arena = createArena(backend, layout);
  const all = { storage: arena.storage, offset: 0 };
  // A gradient has the same offset as the weight to which it belongs.
  const leaves = [...(adapter?.leaves ?? values.tensors.values())].map((value): [Tensor, Tensor] => [
    value,
    { ...value, storage: arena.storage },
  ]);
  const matrices = leaves.filter(([{ shape }]) => shape.length >= 2);
  /** Weights with gradients that are marked as zero, but not filled with zeros yet. */
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
