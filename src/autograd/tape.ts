import type { Backend } from "../backend/backend.ts";
import { ShapeError } from "../core/errors.ts";
import { formatShape, sameShape, sizeOf } from "../core/shape.ts";
import type { Memory, Tensor } from "./tensor.ts";

/**
 * Reverse-mode automatic differentiation, define-by-run: each op that runs appends one entry, `backward` walks the
 * entries in reverse and lets each op turn the gradient of its output into gradients of its inputs (its
 * vector–Jacobian product). See Griewank & Walther, "Evaluating Derivatives" (2008), chapter 3.
 */
export interface Tape {
  /** Marks `leaf` as wanting a gradient, to be added to `gradient` (same shape, zeroed by the caller). */
  watch(leaf: Tensor, gradient: Tensor): void;
  /** Whether a gradient of `tensor` is wanted. An op may skip the work for inputs that are not tracked. */
  tracks(tensor: Tensor): boolean;
  /**
   * Notes that `output` was computed from `inputs`. `vjp` is called once, with the gradient of `output`, and hands on
   * through `accumulate` and `accumulator`. `saved` are temporaries that the vjp needs and the tape then releases.
   * Nothing is recorded (and `saved` is released at once) when no input is tracked.
   */
  record(output: Tensor, inputs: readonly Tensor[], saved: readonly Tensor[], vjp: (dy: Tensor) => void): void;
  /** Adds `gradient` to the gradient of `tensor` and takes over the caller's reference to it. */
  accumulate(tensor: Tensor, gradient: Tensor): void;
  /** Where a kernel may itself add to the gradient of `tensor`; null if it is not tracked. */
  accumulator(tensor: Tensor): Tensor | null;
  /**
   * Propagates `gradient` (the gradient of some scalar by `output`) to every watched leaf. Uses the tape up:
   * activations, the output's included, are released on the way.
   */
  backward(output: Tensor, gradient: Tensor): void;
}

interface Entry {
  readonly output: Tensor;
  readonly saved: readonly Tensor[];
  readonly vjp: (dy: Tensor) => void;
}

/** An empty tape over `backend`, with gradients of activations in `memory`. */
export const createTape = (backend: Backend, memory: Memory): Tape => {
  const tracked = new Set<Tensor>();
  const leaves = new Set<Tensor>();
  const gradients = new Map<Tensor, Tensor>();
  const entries: Entry[] = [];

  const addInto = (target: Tensor, gradient: Tensor): void =>
    backend.run("add", { a: target, b: gradient, y: target, n: sizeOf(target.shape) });

  const accumulate = (tensor: Tensor, gradient: Tensor): void => {
    if (!tracked.has(tensor)) {
      memory.release(gradient);
      return;
    }
    const existing = gradients.get(tensor);
    if (existing === undefined) {
      gradients.set(tensor, gradient);
      return;
    }
    if (leaves.has(tensor) || memory.exclusive(existing)) {
      addInto(existing, gradient);
    } else {
      // `existing` is shared with another tensor's gradient: the sum needs a place of its own.
      const sum = memory.allocate(existing.shape);
      backend.run("add", { a: existing, b: gradient, y: sum, n: sizeOf(existing.shape) });
      memory.release(existing);
      gradients.set(tensor, sum);
    }
    memory.release(gradient);
  };

  return {
    watch(leaf, gradient) {
      if (!sameShape(leaf.shape, gradient.shape)) {
        throw new ShapeError({
          where: "watch",
          must: "a gradient must have its tensor's shape",
          got: `${formatShape(gradient.shape)} for ${formatShape(leaf.shape)}`,
        });
      }
      tracked.add(leaf);
      leaves.add(leaf);
      gradients.set(leaf, gradient);
    },
    tracks: (tensor) => tracked.has(tensor),
    record(output, inputs, saved, vjp) {
      if (!inputs.some((input) => tracked.has(input))) {
        for (const tensor of saved) memory.release(tensor);
        return;
      }
      tracked.add(output);
      entries.push({ output, saved, vjp });
    },
    accumulate,
    accumulator(tensor) {
      if (!tracked.has(tensor)) return null;
      const existing = gradients.get(tensor);
      if (existing !== undefined && (leaves.has(tensor) || memory.exclusive(existing))) return existing;
      const fresh = memory.allocate(tensor.shape);
      const n = sizeOf(tensor.shape);
      if (existing === undefined) {
        backend.run("fill", { y: fresh, n, value: 0 });
      } else {
        backend.run("copyRows", { x: existing, y: fresh, rows: 1, width: n, xStride: n, yStride: n });
        memory.release(existing);
      }
      gradients.set(tensor, fresh);
      return fresh;
    },
    backward(output, gradient) {
      if (!sameShape(output.shape, gradient.shape)) {
        throw new ShapeError({
          where: "backward",
          must: "the gradient must have the output's shape",
          got: `${formatShape(gradient.shape)} for ${formatShape(output.shape)}`,
        });
      }
      accumulate(output, memory.retain(gradient));
      for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
        const dy = gradients.get(entry.output);
        // An output that nothing was computed from has no gradient: its inputs get nothing from it.
        if (dy !== undefined) {
          gradients.delete(entry.output);
          entry.vjp(dy);
          memory.release(dy);
        }
        tracked.delete(entry.output);
        for (const tensor of entry.saved) memory.release(tensor);
        memory.release(entry.output);
      }
    },
  };
};
