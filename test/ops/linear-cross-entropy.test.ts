import { expect, it } from "vitest";
import { backward, trainingContext, withContext } from "#foretoken/autograd/context.js";
import { readScalar, readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import type { ProductDType } from "#foretoken/core/tensors/dtype.js";
import { linearCrossEntropy } from "#foretoken/ops/linear-cross-entropy.js";
import { forEachBackend } from "../support/backends.ts";
import { hashInteger, hashUniform } from "../support/hash.ts";

const channels = 24;
const random = (name: string, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => hashUniform(name, i) * 2);

/** Loss, and the gradients of x, W and b, computed with `columns` tokens of the vocabulary at a time. */
const computed = (backend: Backend, rows: number, vocabSize: number, columns?: number) =>
  withContext(trainingContext(backend, null), async (context) => {
    const { memory, tape } = context;
    const leaf = (name: string, shape: readonly number[]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const value = memory.upload(random(name, length), shape);
      const gradient = memory.upload(new Float32Array(length).fill(0.5), shape);
      tape.watch(value, gradient);
      return { value, gradient };
    };
    const x = leaf("x", [rows, channels]);
    const weight = leaf("weight", [vocabSize, channels]);
    const bias = leaf("bias", [vocabSize]);
    const ids = Int32Array.from({ length: rows }, (_, i) => (i % 9 === 4 ? -1 : hashInteger("target", i, vocabSize)));
    const targets = memory.upload(ids, [rows]);
    const before = backend.bytesInUse();
    const weights = { weight: weight.value, bias: bias.value };
    const loss = linearCrossEntropy(context, x.value, weights, targets, columns);
    const kept = backend.bytesInUse() - before;
    const value = await readScalar(backend, loss);
    backward(context, loss, 1 / rows);
    const gradients = await Promise.all([x, weight, bias].map(({ gradient }) => readTensor(backend, gradient)));
    return { loss: value, gradients, kept };
  });

forEachBackend("a head and its loss in one", ({ name, open }) => {
  const dtypes: readonly ProductDType[] = ["float32", "bfloat16"];

  it.each(dtypes)("is the same a range at a time as all at once, in %s", async (dtype) => {
    const backend = await open(2, dtype);
    const [rows, vocabSize] = [37, 200];
    const whole = await computed(backend, rows, vocabSize, vocabSize);
    for (const columns of [1, 64, 130]) {
      const parts = await computed(backend, rows, vocabSize, columns);
      expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
      // Gradients of logits are rounded to bfloat16. Before the rounding, the sums of exponentials may differ in their
      // last bit.
      const allowed = dtype === "float32" ? 1e-6 : 1e-4;
      for (const [i, gradient] of whole.gradients.entries()) {
        const errors = gradient.map((g, at) => Math.abs(g - (parts.gradients[i]?.[at] ?? Number.NaN)));
        expect(Math.max(...errors)).toBeLessThan(allowed);
        expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(0.5);
      }
    }
    await backend.close();
  });

  // The test would be too slow without compiled kernels.
  it.skipIf(name === "reference")("goes through a large vocabulary in ranges by itself", async () => {
    const backend = await open(2);
    const [rows, vocabSize] = [600, 30_000];
    const logits = 4 * rows * vocabSize;
    const { kept, loss, gradients } = await computed(backend, rows, vocabSize);
    expect(kept).toBeLessThan(logits / 1000);
    const whole = await computed(backend, rows, vocabSize, vocabSize);
    expect(whole.kept).toBeGreaterThan(logits);
    expect(Math.abs(loss / whole.loss - 1)).toBeLessThan(1e-5);
    const [dx = [], wholeDx = []] = [gradients[0], whole.gradients[0]];
    expect(Math.max(...Array.from(dx, (g, i) => Math.abs(g - (wholeDx[i] ?? Number.NaN))))).toBeLessThan(1e-4);
    await backend.close();
  });
});
