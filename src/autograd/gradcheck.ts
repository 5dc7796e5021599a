import type { Backend } from "../backend/backend.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { epsilon } from "../core/tensors/dtype.ts";
import { type Shape, sizeOf } from "../core/tensors/shape.ts";
import { type Context, inferenceContext, trainingContext, withContext } from "./context.ts";
import { readTensor, type Tensor } from "./tensor.ts";

/** An input of a function under test: its shape, and its values in row-major order. */
export interface CheckedInput {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** One element of one input, with its gradient computed in two ways. */
export interface GradientError {
  readonly input: string;
  /** Index of the element in the input. The index is 0 if all elements of the input changed together. */
  readonly index: number;
  /** Gradient from the tape. */
  readonly analytic: number;
  /** From differences. */
  readonly numeric: number;
  /** Maximum allowed difference. */
  readonly tolerance: number;
}

export interface GradientCheck {
  readonly elements: number;
  /**
   * Number of elements with an error that exceeds the tolerance or is NaN. If all elements of an input change together,
   * the number of such inputs.
   */
  readonly wrong: number;
  /** The element with the largest error in proportion to its tolerance. */
  readonly worst: GradientError;
}

/** Error divided by the tolerance. The result is infinite if any of the numbers is NaN. */
export const errorRatio = ({ analytic, numeric, tolerance }: GradientError): number => {
  const ratio = Math.abs(analytic - numeric) / tolerance;
  return Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
};

/**
 * The result as a text, for example `3 of 40 elements are wrong; worst weight[7]: tape 0.5, differences 0.25 ± 1e-9`.
 */
export const describeCheck = ({ elements, wrong, worst }: GradientCheck): string => {
  const { input, index, analytic, numeric, tolerance } = worst;
  return (
    `${wrong} of ${elements} elements are wrong; worst ${input}[${index}]: ` +
    `tape ${analytic}, differences ${numeric} ± ${tolerance}`
  );
};

/**
 * The tolerance is this factor times the estimated rounding error of the differences. The sums inside f cause an error
 * of a few units of ε·|f|/h. Correct ops stay below a quarter of the tolerance.
 */
const safety = 32;

/**
 * @throws ShapeError if `backend` does not compute in float64, or if an input's data does not have the size of its
 * shape.
 */
const checkInputs = (backend: Backend, inputs: Readonly<Record<string, CheckedInput>>): void => {
  if (!backend.capabilities.real.includes("float64")) {
    throw new ShapeError({
      where: "checkGradients",
      must: "the backend must compute in float64",
      got: backend.capabilities.real.join(", "),
      hint: 'openReference({ real: "float64" })',
    });
  }
  for (const [name, { shape, data }] of Object.entries(inputs)) {
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError({
        where: "checkGradients",
        must: `${name} must hold ${sizeOf(shape)} elements`,
        got: `${data.length}`,
      });
    }
  }
};

/**
 * Compares the tape's gradient of f(inputs) = Σ cotangent · run(inputs) with finite differences, for every element of
 * every input. The differences are of fourth order: (4·D(h) − D(2h)) / 3, where D(h) is the central difference and h =
 * ε^(1/3) · max(1, |x|). The truncation error, of order h⁴, is far below the rounding error, of order ε^(2/3) · Σ|terms
 * of f|. The tolerance is a multiple of the rounding error.
 *
 * @param backend must compute in float64; float32 is too coarse for differences.
 * @param run the function, which must not keep state between calls. Dropout must come from a fixed key.
 * @param cotangent weight of output element i. The weights should be of order 1 and without a pattern.
 * @param along weight of element i of an input. The weights should be of order 1 and without a pattern. If `along` is
 * given, all elements of an input change together, each by its weight. The check then compares the weighted sum of
 * their gradients. The check makes one comparison per input instead of one per element. The check finds wrong elements
 * equally well, but does not name the wrong element.
 * @throws ShapeError if `backend` does not compute in float64, or if an input's data does not have the size of its
 * shape.
 */
export const checkGradients = async (
  backend: Backend,
  inputs: Readonly<Record<string, CheckedInput>>,
  run: (context: Context, inputs: Readonly<Record<string, Tensor>>) => Tensor,
  cotangent: (i: number) => number,
  along?: (input: string, i: number) => number,
): Promise<GradientCheck> => {
  checkInputs(backend, inputs);
  const upload = ({ memory }: Context): Record<string, Tensor> =>
    Object.fromEntries(Object.entries(inputs).map(([name, { shape, data }]) => [name, memory.upload(data, shape)]));

  /** The value of f, and the sum of the magnitudes of its terms. */
  const evaluate = (): Promise<readonly [number, number]> =>
    withContext(inferenceContext(backend), async (context) => {
      const y = await readTensor(backend, run(context, upload(context)));
      let sum = 0;
      let magnitude = 0;
      for (let i = 0; i < y.length; i++) {
        const term = cotangent(i) * (y[i] as number);
        sum += term;
        magnitude += Math.abs(term);
      }
      return [sum, magnitude];
    });

  const gradients = await withContext(trainingContext(backend, null), async (context) => {
    const { memory, tape } = context;
    // The memory of the gradients first contains arbitrary values. The check then notices if an op does not write a
    // part of a gradient.
    const blank = new Set<Tensor>();
    const leaves = Object.entries(upload(context)).map(([name, leaf]) => {
      const gradient = memory.allocate(leaf.shape);
      blank.add(leaf);
      tape.watch(leaf, gradient, blank);
      return { name, leaf, gradient };
    });
    const y = run(context, Object.fromEntries(leaves.map(({ name, leaf }) => [name, leaf])));
    const dy = Float64Array.from({ length: sizeOf(y.shape) }, (_, i) => cotangent(i));
    tape.backward(y, memory.upload(dy, y.shape));
    const read = new Map<string, ArrayLike<number>>();
    for (const { name, leaf, gradient } of leaves) {
      read.set(name, blank.has(leaf) ? new Float64Array(sizeOf(leaf.shape)) : await readTensor(backend, gradient));
    }
    return read;
  });

  const [, magnitude] = await evaluate();
  let elements = 0;
  let wrong = 0;
  let worst: GradientError | undefined;
  for (const [name, { data }] of Object.entries(inputs)) {
    const gradient = gradients.get(name) as ArrayLike<number>;
    const given = data.slice();
    const weights = along === undefined ? null : given.map((_, i) => along(name, i));
    for (let index = 0; index < (weights === null ? data.length : 1); index++) {
      const changed = weights ?? [1];
      const first = weights === null ? index : 0;
      const scale = given.slice(first, first + changed.length).reduce((most, x) => Math.max(most, Math.abs(x)), 1);
      const h = Math.cbrt(epsilon.float64) * scale;
      const at = async (step: number): Promise<number> => {
        changed.forEach((weight, i) => {
          data[first + i] = (given[first + i] as number) + step * weight;
        });
        const [f] = await evaluate();
        data.set(given);
        return f;
      };
      const near = ((await at(h)) - (await at(-h))) / (2 * h);
      const far = ((await at(2 * h)) - (await at(-2 * h))) / (4 * h);
      let analytic = 0;
      changed.forEach((weight, i) => {
        analytic += weight * (gradient[first + i] as number);
      });
      const tolerance = (safety * epsilon.float64 ** (2 / 3) * (magnitude + Math.abs(analytic) * scale)) / scale;
      const error = { input: name, index, analytic, numeric: (4 * near - far) / 3, tolerance };
      elements += changed.length;
      // In this comparison, NaN counts as wrong.
      if (!(errorRatio(error) <= 1)) wrong++;
      if (worst === undefined || errorRatio(error) > errorRatio(worst)) worst = error;
    }
  }
  if (worst === undefined) {
    throw new ShapeError({ where: "checkGradients", must: "at least one input must have an element", got: "none" });
  }
  return { elements, wrong, worst };
};
