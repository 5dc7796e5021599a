import { expect, it } from "vitest";
import { trainingContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor, type Tensor } from "#foretoken/autograd/tensor.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { linear } from "#foretoken/ops/linear.js";

/** Gradient of W in x·Wᵀ·Vᵀ. `between` gets the first layer's output, which is not needed in the backward pass. */
const gradientOf = async (between: (drop: () => void, retain: () => void) => void) => {
  const backend = await openReference();
  const filled = (shape: readonly [number, number], from: number): Tensor => {
    const length = shape[0] * shape[1];
    const storage = backend.alloc("float32", length);
    backend.write(
      storage,
      Float32Array.from({ length }, (_, i) => Math.sin(from + i)),
    );
    return { storage, offset: 0, shape };
  };
  const [x, w, v] = [filled([2, 3], 1), filled([4, 3], 2), filled([1, 4], 3)];
  const gradient = filled([4, 3], 4);
  const before = backend.bytesInUse();
  let inForward = 0;
  await withContext(trainingContext(backend, null), (context) => {
    context.tape.watch(w, gradient, new Set([w]));
    const hidden = linear(context, x, { weight: w, bias: null });
    const y = linear(context, hidden, { weight: v, bias: null });
    const { tape, memory } = context;
    between(
      () => tape.drop(hidden),
      () => memory.retain(hidden),
    );
    inForward = backend.bytesInUse() - before;
    // The memory of a dropped output is given to another tensor, which the backward pass must not free.
    const other = memory.allocate(hidden.shape);
    backend.run("fill", { y: other, n: 8, value: 7 });
    tape.backward(y, memory.upload(Float32Array.of(1, -2), [2, 1]));
    expect(memory.exclusive(other)).toBe(true);
  });
  const values = [...(await readTensor(backend, gradient))];
  await backend.close();
  return { values, inForward };
};

it("drops an output's memory before the backward pass, and computes the same gradients", async () => {
  const kept = await gradientOf(() => {});
  const dropped = await gradientOf((drop) => drop());
  expect(dropped.values).toEqual(kept.values);
  expect(kept.values.some((value) => value !== 0)).toBe(true);
  expect(kept.inForward - dropped.inForward).toBe(2 * 4 * 4);
});

it("drops nothing that something else holds", async () => {
  const kept = await gradientOf(() => {});
  const held = await gradientOf((drop, retain) => {
    retain();
    drop();
  });
  expect(held).toEqual(kept);
});
