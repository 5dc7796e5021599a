import type { Backend } from "../backend/backend.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape, sameShape, sizeOf } from "../core/tensors/shape.ts";
import { createLastUses } from "./last-uses.ts";
import type { Memory, Tensor } from "./tensor.ts";

/**
 * A tape for reverse-mode automatic differentiation. Each op that runs appends one entry. `backward` walks the entries
 * in reverse, and each op turns the gradient of its output into gradients of its inputs (its vector–Jacobian product).
 * See Griewank & Walther, "Evaluating Derivatives" (2008), chapter 3.
 * @experimental
 */
export interface Tape {
  /**
   * Requests that the backward pass adds the gradient of `leaf` to `gradient`, which has the same shape. While the leaf
   * is in the set `blank`, the values of `gradient` are undefined. The first addition overwrites these values and
   * removes the leaf from the set.
   * @param onComplete called in the backward pass after the last addition, if the tape knows which addition is the
   * last. `onComplete` is not called for leaves of work that `recordAgain` records, or of earlier parts of the backward
   * pass.
   */
  watch(leaf: Tensor, gradient: Tensor, blank?: Set<Tensor>, onComplete?: () => void): void;
  /**
   * Whether the gradient of `tensor` is needed. An op may skip the work for an input if the input's gradient is not
   * needed.
   */
  tracks(tensor: Tensor): boolean;
  /**
   * Records that `output` was computed from `inputs`. `vjp` is called once, with the gradient of `output`, and passes
   * gradients to the inputs through `accumulate`, `destination` and `accumulator`. `saved` are temporaries for `vjp`;
   * the tape releases them afterwards. If no input is tracked, nothing is recorded and `saved` is released at once.
   */
  record(output: Tensor, inputs: readonly Tensor[], saved: readonly Tensor[], vjp: (dy: Tensor) => void): void;
  /**
   * Records that `output` was computed by work that recorded nothing. When the backward pass reaches `output`, it calls
   * `again`. `again` repeats the work, records it, and returns a new output. `saved` are temporaries for `again`; the
   * tape releases them afterwards.
   */
  recordAgain(output: Tensor, saved: readonly Tensor[], again: () => Tensor): void;
  /**
   * Frees the memory of an output before the backward pass. Call it if no later op and no vjp reads the output's values.
   * The gradient of the output is computed as before. If something else holds the output, nothing is freed.
   */
  drop(output: Tensor): void;
  /** Adds `gradient` to the gradient of `tensor` and takes over the caller's reference to it. */
  accumulate(tensor: Tensor, gradient: Tensor): void;
  /**
   * The gradient of `tensor`, for a kernel that writes the whole gradient, or adds to all of it, in one call. Null if
   * `tensor` is not tracked.
   */
  destination(tensor: Tensor): Destination | null;
  /**
   * The gradient of `tensor`, for a kernel that adds to the whole gradient or to parts of it. Null if `tensor` is not
   * tracked.
   */
  accumulator(tensor: Tensor): Tensor | null;
  /**
   * Propagates `gradient` from `output` to every watched leaf. `gradient` is the gradient of a scalar with respect to
   * `output`. The call consumes the tape: it releases all activations, including the output.
   */
  backward(output: Tensor, gradient: Tensor): void;
}

/** A gradient that a kernel will write, or to which it will add. */
export interface Destination {
  readonly gradient: Tensor;
  /**
   * If 1, the kernel adds to the existing values. If 0, the values are undefined, and the kernel overwrites them.
   * Kernels take this number as the argument `add`.
   */
  readonly add: 0 | 1;
}

interface Entry {
  readonly output: Tensor;
  /** Inputs that `lastUses` watches. */
  readonly counted: readonly Tensor[];
  readonly saved: readonly Tensor[];
  readonly vjp: (dy: Tensor) => void;
}

/** @throws ShapeError if `gradient` does not have the shape of `tensor`. */
const checkGradient = (where: string, must: string, gradient: Tensor, tensor: Tensor): void => {
  if (sameShape(tensor.shape, gradient.shape)) return;
  throw new ShapeError({ where, must, got: `${formatShape(gradient.shape)} for ${formatShape(tensor.shape)}` });
};

const copyAll = (backend: Backend, x: Tensor, y: Tensor): void => {
  const n = sizeOf(x.shape);
  backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });
};

/**
 * Adds into new memory, because `existing` is also the gradient of another tensor. Afterwards `existing` is released.
 */
const sumOf = (backend: Backend, memory: Memory, existing: Tensor, gradient: Tensor): Tensor => {
  const sum = memory.allocate(existing.shape, existing.storage.dtype);
  backend.run("add", { a: existing, b: gradient, y: sum, n: sizeOf(existing.shape) });
  memory.release(existing);
  return sum;
};

/** Creates an empty tape for `backend`. The gradients of activations are allocated in `memory`. */
export const createTape = (backend: Backend, memory: Memory): Tape => {
  const tracked = new Set<Tensor>();
  /** For each leaf, the set that contains it while its gradient is undefined. */
  const leaves = new Map<Tensor, Set<Tensor>>();
  const gradients = new Map<Tensor, Tensor>();
  const entries: Entry[] = [];
  /** Outputs that no longer have memory. */
  const dropped = new Set<Tensor>();
  const lastUses = createLastUses();

  const accumulate = (tensor: Tensor, gradient: Tensor): void => {
    if (!tracked.has(tensor)) {
      memory.release(gradient);
      return;
    }
    lastUses.checkOpen(tensor);
    const existing = gradients.get(tensor);
    if (existing === undefined) {
      gradients.set(tensor, gradient);
      return;
    }
    const n = sizeOf(tensor.shape);
    if (leaves.get(tensor)?.delete(tensor)) {
      copyAll(backend, gradient, existing);
    } else if (leaves.has(tensor) || memory.exclusive(existing)) {
      backend.run("add", { a: existing, b: gradient, y: existing, n });
    } else {
      gradients.set(tensor, sumOf(backend, memory, existing, gradient));
    }
    memory.release(gradient);
  };

  const destination = (tensor: Tensor): Destination | null => {
    if (!tracked.has(tensor)) return null;
    lastUses.checkOpen(tensor);
    const existing = gradients.get(tensor);
    if (existing !== undefined) {
      const blank = leaves.get(tensor);
      if (blank !== undefined) return { gradient: existing, add: blank.delete(tensor) ? 0 : 1 };
      if (memory.exclusive(existing)) return { gradient: existing, add: 1 };
    }
    const fresh = memory.allocate(tensor.shape, tensor.storage.dtype);
    gradients.set(tensor, fresh);
    if (existing === undefined) return { gradient: fresh, add: 0 };
    copyAll(backend, existing, fresh);
    memory.release(existing);
    return { gradient: fresh, add: 1 };
  };

  return {
    watch(leaf, gradient, blank = new Set(), onComplete) {
      checkGradient("watch", "a gradient must have its tensor's shape", gradient, leaf);
      tracked.add(leaf);
      leaves.set(leaf, blank);
      gradients.set(leaf, gradient);
      if (onComplete !== undefined) lastUses.watch(leaf, onComplete);
    },
    tracks: (tensor) => tracked.has(tensor),
    record(output, inputs, saved, vjp) {
      if (!inputs.some((input) => tracked.has(input))) {
        for (const tensor of saved) memory.release(tensor);
        return;
      }
      tracked.add(output);
      entries.push({ output, counted: lastUses.count(inputs), saved, vjp });
    },
    recordAgain(output, saved, again) {
      tracked.add(output);
      lastUses.addUnknown();
      // The repeated work appends its entries in place of this entry, so the backward pass processes them next.
      const vjp = (dy: Tensor): void => {
        accumulate(again(), memory.retain(dy));
        lastUses.resolveUnknown();
      };
      entries.push({ output, counted: [], saved, vjp });
    },
    drop(output) {
      if (!entries.some((entry) => entry.output === output) || !memory.exclusive(output)) return;
      memory.release(output);
      dropped.add(output);
    },
    accumulate,
    destination,
    accumulator(tensor) {
      const to = destination(tensor);
      if (to?.add === 0) backend.run("fill", { y: to.gradient, n: sizeOf(tensor.shape), value: 0 });
      return to?.gradient ?? null;
    },
    backward(output, gradient) {
      checkGradient("backward", "the gradient must have the output's shape", gradient, output);
      accumulate(output, memory.retain(gradient));
      for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
        const dy = gradients.get(entry.output);
        // An output that was never used has no gradient, so it passes no gradients to its inputs.
        if (dy !== undefined) {
          gradients.delete(entry.output);
          entry.vjp(dy);
          memory.release(dy);
        }
        tracked.delete(entry.output);
        for (const tensor of entry.saved) memory.release(tensor);
        if (!dropped.delete(entry.output)) memory.release(entry.output);
        for (const leaf of entry.counted) lastUses.used(leaf);
      }
    },
  };
};
