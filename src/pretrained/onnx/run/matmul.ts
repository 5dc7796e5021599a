/** Operators that multiply matrices. */
import type { RealArray } from "../../../core/tensors/dtype.ts";
import { formatShape, type Shape } from "../../../core/tensors/shape.ts";
import { type Call, inputOf, requireNumber, requireType, room } from "./call.ts";
import type { Factor, Matrix } from "./products.ts";
import { broadcastShape, eachPlace, type Numbers, type Tensor } from "./tensor.ts";

/** Numbers of rows and columns, from the last two axes. */
const matrixSizes = (call: Call, { shape }: Tensor): readonly [rows: number, columns: number] => {
  const [rows, columns] = shape.slice(-2);
  if (rows !== undefined && columns !== undefined) return [rows, columns];
  throw call.refuse("must multiply matrices", formatShape(shape));
};

const misfit = (call: Call, a: Tensor, b: Tensor) =>
  call.refuse("must multiply matrices with matching sizes", `${formatShape(a.shape)} and ${formatShape(b.shape)}`);

/** Transposes b [k, m], which begins at index `from`, to bᵀ [m, k]. */
const turned = (call: Call, b: Numbers, from: number, k: number, m: number): RealArray => {
  const made = room(call, "float32", [m, k]) as RealArray;
  for (let row = 0; row < k; row++) {
    for (let column = 0; column < m; column++) made[column * k + row] = b[from + row * m + column] as number;
  }
  return made;
};

/**
 * Adds the products with all factors to `into`. A factor is the part of a matrix for one range of the inner dimension.
 */
const sumOf = async (
  call: Call,
  factors: readonly Factor[],
  part: (from: number, k: number) => RealArray,
  m: number,
  into: Numbers,
): Promise<void> => {
  let from = 0;
  for (const factor of factors) {
    const y = await call.products.times(part(from, factor.k), factor, m);
    for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) + (y[i] as number);
    from += factor.k;
  }
};

/** x [m, k] · wᵀ + c for w [n, k], as in linear layers. */
export const gemm = async (call: Call): Promise<Tensor> => {
  const [x, w] = [inputOf(call, 0), inputOf(call, 1)];
  requireNumber(call, "transA", 0, 0);
  requireNumber(call, "transB", 1, 0);
  requireNumber(call, "alpha", 1, 1);
  requireNumber(call, "beta", 1, 1);
  for (const one of [x, w]) {
    requireType(call, one, ["float32"]);
    if (one.shape.length !== 2) throw misfit(call, x, w);
  }
  const [[m, k], [n, inner]] = [matrixSizes(call, x), matrixSizes(call, w)];
  if (k !== inner) throw misfit(call, x, w);
  const shape: Shape = [m, n];
  const data = room(call, "float32", shape);
  const name = call.stored[1];
  const load = async (): Promise<RealArray> => (await call.load(1)) as RealArray;
  if (name === undefined) data.set(await call.products.once(x.data as RealArray, await load(), m, n, k));
  else if (m * n * k > 0) {
    const factors = await call.products.keep(name, async () => [{ w: await load(), n, k }]);
    await sumOf(call, factors, () => x.data as RealArray, m, data);
  }
  if (call.inputs.length > 2) addRows(call, data, inputOf(call, 2), shape);
  return { type: "float32", shape, data };
};

/** Adds a tensor that broadcasts to the shape of `data`. */
const addRows = (call: Call, data: Numbers, c: Tensor, shape: Shape): void => {
  requireType(call, c, ["float32"]);
  if (broadcastShape([c.shape, shape])?.join() !== shape.join()) {
    throw call.refuse(`must add a tensor that broadcasts to ${formatShape(shape)}`, formatShape(c.shape));
  }
  eachPlace(shape, [c.shape], (at, count, [from = 0], [step = 0]) => {
    for (let i = 0; i < count; i++) data[at + i] = (data[at + i] as number) + (c.data[from + i * step] as number);
  });
};

/** a [.., n, k] · b [.., k, m]; the leading axes broadcast. */
export const matMul = async (call: Call): Promise<Tensor> => {
  const [a, b] = [inputOf(call, 0), inputOf(call, 1)];
  for (const one of [a, b]) requireType(call, one, ["float32"]);
  const [[n, k], [inner, m]] = [matrixSizes(call, a), matrixSizes(call, b)];
  const [ofA, ofB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const batch = broadcastShape([ofA, ofB]);
  if (k !== inner || batch === undefined) throw misfit(call, a, b);
  const shape = [...batch, n, m];
  const data = room(call, "float32", shape);
  const pairs: (readonly [number, number])[] = [];
  eachPlace(batch, [ofA, ofB], (_, count, [one = 0, other = 0], [byOne = 0, byOther = 0]) => {
    for (let i = 0; i < count; i++) pairs.push([one + i * byOne, other + i * byOther]);
  });
  for (const [i, [one, other]] of pairs.entries()) {
    const x = (a.data as RealArray).slice(one * n * k, (one + 1) * n * k);
    const y = await call.products.once(x, turned(call, b.data, other * k * m, k, m), n, m, k);
    data.set(y, i * n * m);
  }
  return { type: "float32", shape, data };
};

/** Zero point of a byte input. */
const zeroOf = (call: Call, place: number): number => {
  if (call.inputs.length <= place) return 0;
  const zero = inputOf(call, place);
  requireType(call, zero, ["uint8"]);
  if (zero.data.length === 1) return zero.data[0] as number;
  throw call.refuse("must have one zero point", formatShape(zero.shape));
};

/** Integers up to 2^24 are exact in float32. So a sum is exact in any order if its magnitude stays within 2^24. */
const mostExact = 2 ** 24;

/** Largest distance of a byte from the zero point. */
const farthest = (zero: number): number => Math.max(zero, 255 - zero);

/**
 * Computes (a − zero) [m, k] · (b − zero) [k, n] for bytes a and b exactly. The sum over k is split into parts. Each
 * part is exact in float32.
 */
export const matMulInteger = async (call: Call): Promise<Tensor> => {
  const [a, b] = [inputOf(call, 0), inputOf(call, 1)];
  for (const one of [a, b]) {
    requireType(call, one, ["uint8"]);
    if (one.shape.length !== 2) throw misfit(call, a, b);
  }
  const [[m, k], [inner, n]] = [matrixSizes(call, a), matrixSizes(call, b)];
  if (k !== inner) throw misfit(call, a, b);
  const [zeroA, zeroB] = [zeroOf(call, 2), zeroOf(call, 3)];
  const step = Math.floor(mostExact / (farthest(zeroA) * farthest(zeroB)));
  const shape = [m, n];
  const data = room(call, "int32", shape);
  if (m * n * k === 0) return { type: "int32", shape, data };
  const parts = async (): Promise<readonly Matrix[]> => {
    const bytes = await call.load(1);
    const made: Matrix[] = [];
    for (let from = 0; from < k; from += step) {
      const count = Math.min(step, k - from);
      const w = turned(call, bytes, from * n, count, n);
      for (let i = 0; i < w.length; i++) w[i] = (w[i] as number) - zeroB;
      made.push({ w, n, k: count });
    }
    return made;
  };
  const columns = (from: number, count: number): RealArray => {
    const x = room(call, "float32", [m, count]) as RealArray;
    for (let row = 0; row < m; row++) {
      for (let i = 0; i < count; i++) x[row * count + i] = (a.data[row * k + from + i] as number) - zeroA;
    }
    return x;
  };
  const name = call.stored[1];
  if (name !== undefined) {
    await sumOf(call, await call.products.keep(`${name} ${zeroA} ${zeroB}`, parts), columns, m, data);
    return { type: "int32", shape, data };
  }
  let from = 0;
  for (const { w, k: count } of await parts()) {
    const y = await call.products.once(columns(from, count), w, m, n, count);
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + (y[i] as number);
    from += count;
  }
  return { type: "int32", shape, data };
};
