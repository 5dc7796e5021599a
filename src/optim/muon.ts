/**
 * Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). Each weight matrix inside a
 * block moves along its orthogonalised momentum, so that every direction of the update has about the same length:
 *
 *   m ← μ·m + (1 − μ)·g        u = μ·m + (1 − μ)·g        (Nesterov)
 *   W ← (1 − η·λ)·W − η·√max(1, out/in)·NS(u / ‖u‖)
 *
 * NS is a Newton–Schulz iteration: five steps of X ← a·X + (b·A + c·A²)·X, where A = X·Xᵀ. After these steps, a singular
 * value that was at least 0.002 of the norm is between 0.68 and 1.20. A singular value near zero grows by a⁵ ≈ 485 and
 * stays near zero. AdamW updates embeddings, the head and vectors.
 */

import type { Backend, Storage, View } from "../backend/backend.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import type { ArenaLayout } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import type { MuonConfig } from "./config.ts";
import { isBlockMatrix, type Moments } from "./state.ts";
import type { Stretch } from "./stretches.ts";
import type { Update } from "./update.ts";

/** Jordan's coefficients. Small singular values grow fast with them. */
const [a, b, c] = [3.4445, -4.775, 2.0315] as const;
const iterations = 5;
const normEps = 1e-7;

/** One matrix and its part of the arena. */
interface Matrix {
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
}

const matricesOf = (layout: ArenaLayout): readonly Matrix[] =>
  layout.parameters.filter(isBlockMatrix).flatMap(({ shape, stacked = [], offset }) => {
    const [, columns = 0] = shape;
    let next = offset;
    return stacked.map((rows) => {
      const matrix = { offset: next, rows, columns };
      next += rows * columns;
      return matrix;
    });
  });

/**
 * Orthogonalises X. The scratch memory suffices for matrices of up to `largest` elements with a shorter side of at most
 * `side`.
 */
const createOrthogonalizer = (backend: Backend, largest: number, side: number) => {
  const scratch = allocateAll(backend, "float32", [largest, side * side, side * side, 1]);
  const [other, gram, square, squares] = scratch;
  const at = (storage: Storage): View => ({ storage, offset: 0 });

  return {
    /** In place. */
    run(x: View, rows: number, columns: number): void {
      const n = rows * columns;
      const k = Math.min(rows, columns);
      backend.run("sumOfSquares", { x, y: at(squares), n });
      backend.run("scaleByNorm", { x, squares: at(squares), y: x, n, eps: normEps });
      for (let i = 0; i < iterations; i++) {
        const wide = rows <= columns;
        // A = X·Xᵀ, or A = Xᵀ·X if Xᵀ·X is smaller. Multiplying X by the polynomial in A from the left or from the
        // right gives the same result.
        if (wide)
          backend.run("linearForward", {
            x,
            w: x,
            bias: null,
            addend: null,
            y: at(gram),
            m: rows,
            n: rows,
            k: columns,
          });
        else {
          const sizes = { m: rows, n: columns, k: columns, add: 0 };
          backend.run("linearBackwardWeight", { dy: x, x, dw: at(gram), dBias: null, ...sizes });
        }
        // A is symmetric, so A·Aᵀ is its square.
        backend.run("linearForward", {
          x: at(gram),
          w: at(gram),
          bias: null,
          addend: null,
          y: at(square),
          m: k,
          n: k,
          k,
        });
        backend.run("combine", { a: at(gram), b: at(square), y: at(gram), unreal: null, n: k * k, alpha: b, beta: c });
        if (wide)
          backend.run("linearBackwardInput", {
            dy: at(gram),
            w: x,
            factor: null,
            dx: at(other),
            m: k,
            n: k,
            k: columns,
            add: 0,
          });
        else backend.run("linearForward", { x, w: at(gram), bias: null, addend: null, y: at(other), m: rows, n: k, k });
        backend.run("combine", { a: x, b: at(other), y: x, unreal: null, n, alpha: a, beta: 1 });
      }
    },
    close() {
      for (const storage of scratch) backend.free(storage);
    },
  };
};

/** Updates some ranges of the weights: Muon for the matrices inside blocks, and AdamW for everything else. */
export const createMuon = (
  backend: Backend,
  layout: ArenaLayout,
  config: MuonConfig,
  moments: Moments,
  stretches: readonly Stretch[],
) => {
  const matrices = matricesOf(layout).flatMap((matrix) => {
    const { offset } = matrix;
    const stretch = stretches.find(({ from, to }) => from <= offset && offset < to);
    return stretch === undefined ? [] : [{ ...matrix, m: stretch.m + offset - stretch.from }];
  });
  const others = stretches.filter(({ isOrthogonal }) => !isOrthogonal);
  const largest = Math.max(1, ...matrices.map(({ rows, columns }) => rows * columns));
  const side = Math.max(1, ...matrices.map(({ rows, columns }) => Math.min(rows, columns)));
  const direction = backend.alloc("float32", largest);
  const orthogonalizer = closeOnError(
    () => backend.free(direction),
    () => createOrthogonalizer(backend, largest, side),
  );
  const { momentum, weightDecay, adamLearningRateRatio, beta1, beta2, eps } = config;

  return {
    update(update: Update): void {
      const { values, gradients, learningRate, gradScale } = update;
      for (const { offset, rows, columns, m: first } of matrices) {
        const n = rows * columns;
        const param = { storage: values.storage, offset };
        const grad = { storage: gradients.storage, offset };
        const m = { storage: moments.m, offset: first };
        const u = { storage: direction, offset: 0 };
        const mixed = { b: grad, n, alpha: momentum, beta: (1 - momentum) * gradScale };
        const { unreal } = moments;
        backend.run("combine", { ...mixed, a: m, y: m, unreal });
        backend.run("combine", { ...mixed, a: m, y: u, unreal: null });
        orthogonalizer.run(u, rows, columns);
        const alpha = 1 - learningRate * weightDecay;
        const beta = -learningRate * Math.sqrt(Math.max(1, rows / columns));
        backend.run("combine", { a: param, b: u, y: param, unreal, n, alpha, beta });
      }
      const adam = adamUpdate(backend, { kind: "adamw", beta1, beta2, eps }, moments, {
        ...update,
        learningRate: learningRate * adamLearningRateRatio,
        rounded: null,
      });
      for (const stretch of others) adam(stretch, 0);
    },
    close(): void {
      orthogonalizer.close();
      backend.free(direction);
    },
  };
};
