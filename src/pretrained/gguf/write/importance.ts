/**
 * Measures how important each column of a model's matrices is. Input j of a linear layer multiplies column j of its
 * matrix. The importance of column j is the mean square of input j over a text. (llama.cpp calls these numbers an
 * importance matrix.) Only sums over the tokens are kept, never the inputs.
 */
import { inferenceContext, spend, withContext } from "../../../autograd/context.ts";
import type { Tensor } from "../../../autograd/tensor.ts";
import type { Backend, Storage, View } from "../../../backend/backend.ts";
import { type Observer, observed } from "../../../backend/observers/observed.ts";
import { yieldToHost } from "../../../core/system/yield.ts";
import { sizeOf } from "../../../core/tensors/shape.ts";
import type { Batch } from "../../../data/batches.ts";
import { type Model, uploadIds } from "../../../models/model.ts";
import { transformer } from "../../../models/transformer.ts";
import { whileOpen } from "../../model/closed.ts";

/** The sums of the squares of a matrix's inputs, as a part of one array. */
interface Sums {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
}

/** The matrices of linear layers by their offset in the model's array of weights, and the length of all sums. */
const sumsOf = ({ layout }: Model): { readonly byOffset: ReadonlyMap<number, Sums>; readonly length: number } => {
  const byOffset = new Map<number, Sums>();
  let length = 0;
  for (const { name, shape, offset } of layout.parameters) {
    if (shape.length !== 2) continue;
    const [, width = 0] = shape;
    byOffset.set(offset, { name, offset: length, width });
    length += width;
  }
  return { byOffset, length };
};

/** Adds the squares of rows of inputs [rows, channels] to the sums of their columns. */
const addSquares = (backend: Backend, x: View, rows: number, channels: number, ones: Storage, sums: View): void => {
  const one = { storage: ones, offset: 0 };
  // The kernel adds dy · x · rstd of all rows to dGamma. With dy = x and rstd = 1, these are the squares.
  const squares = { dy: x, gamma: one, rstd: one, dx: null, dGamma: sums, rows, channels, add: 0 };
  if (x.storage.dtype !== "bfloat16") {
    backend.run("rmsNormBackward", { ...squares, x });
    return;
  }
  const storage = backend.alloc("float32", rows * channels);
  const wide = { storage, offset: 0 };
  backend.run("copyRows", {
    x,
    y: wide,
    rows: 1,
    width: rows * channels,
    xStride: rows * channels,
    yStride: rows * channels,
  });
  backend.run("rmsNormBackward", { ...squares, x: wide });
  backend.free(storage);
};

/**
 * Computes the mean square of each input of each matrix over the batches.
 * @param model a model with its weights in one array.
 * @returns the importances by the name of the parameter. A matrix that no product reads has none.
 */
export const measureImportance = async (
  model: Model,
  batches: Iterable<Batch>,
  onBatch: (batch: Batch) => Promise<void> | void = () => {},
): Promise<ReadonlyMap<string, Float64Array>> => {
  const { config, parameters, arena } = model;
  const backend = observed(model.backend);
  const { byOffset, length } = sumsOf(model);
  const seen = new Set<Sums>();
  const totals = new Float64Array(length);
  const real = arena.storage.dtype;
  const sums = backend.alloc(real, length);
  let ones = backend.alloc(real, 1);
  let count = 0;
  const add = (x: View, w: View, rows: number, channels: number): void => {
    const place = w.storage === arena.storage ? byOffset.get(w.offset) : undefined;
    if (place === undefined) return;
    seen.add(place);
    addSquares(model.backend, x, rows, channels, ones, { storage: sums, offset: place.offset });
  };
  const observer: Observer = (kernel, args) => {
    if (kernel !== "linearForward" && kernel !== "linearGeluForward") return;
    const { x, w, m, k } = args as unknown as { x: View; w: View; m: number; k: number };
    add(x, w, m, k);
  };
  const pass = (ids: Int32Array, rows: number, time: number): Promise<void> =>
    withContext(inferenceContext(backend), async (context) => {
      const hidden: Tensor = transformer(context, config, parameters, uploadIds(context, model, ids, rows, time)); // [B, T, C]
      // The head is not computed, because only its input matters.
      add(hidden, parameters.head.weight, rows * time, sizeOf(hidden.shape) / (rows * time));
      spend(context, hidden);
      const found = await backend.read(sums);
      for (let i = 0; i < length; i++) totals[i] = (totals[i] as number) + (found[i] as number);
    });
  try {
    for (const batch of batches) {
      const { x, rows, time } = batch;
      const most = Math.max(rows * time, ...[...byOffset.values()].map(({ width }) => width));
      if (ones.length < most) {
        backend.free(ones);
        ones = backend.alloc(real, most);
        backend.run("fill", { y: { storage: ones, offset: 0 }, n: most, value: 1 });
      }
      backend.run("fill", { y: { storage: sums, offset: 0 }, n: length, value: 0 });
      await whileOpen("calibrate", model, () => backend.observe(observer, () => pass(x, rows, time)));
      count += rows * time;
      await onBatch(batch);
      await yieldToHost();
    }
  } finally {
    backend.free(ones);
    backend.free(sums);
  }
  return new Map(
    [...seen].map(({ name, offset, width }) => [
      name,
      Float64Array.from(totals.subarray(offset, offset + width), (total) => total / count),
    ]),
  );
};
