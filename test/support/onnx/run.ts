/**
 * Runs a graph of ONNX in double precision: the operators that models are written with, by their definitions
 * (https://onnx.ai/onnx/operators/), one element after the other.
 */
import { type ReadModel, type ReadNode, type Tensor, type TypeName, typeOf } from "./read.ts";

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const tensor = (shape: readonly number[], data: Float64Array, type: TypeName = "float32"): Tensor => {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} numbers for [${shape}]`);
  return { type, shape, data };
};

/** A shape that both broadcast to. */
const broadcast = (a: readonly number[], b: readonly number[]): readonly number[] => {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [one, other] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (one !== other && one !== 1 && other !== 1) throw new Error(`[${a}] and [${b}]`);
    return one === 1 ? other : one;
  });
};

/** For each element of `shape` its place in a tensor of shape `from` that broadcasts to it. */
const places = (from: readonly number[], shape: readonly number[]): Int32Array => {
  const strides = new Array<number>(shape.length).fill(0);
  let stride = 1;
  for (let axis = from.length - 1; axis >= 0; axis--) {
    const size = from[axis] ?? 1;
    if (size !== 1) strides[axis + shape.length - from.length] = stride;
    stride *= size;
  }
  const found = new Int32Array(sizeOf(shape));
  for (let i = 0; i < found.length; i++) {
    let [rest, place] = [i, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      place += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    found[i] = place;
  }
  return found;
};

const at = (data: Float64Array, place: number): number => {
  const value = data[place];
  if (value === undefined) throw new Error(`no element ${place} of ${data.length}`);
  return value;
};

const each = (x: Tensor, compute: (value: number) => number): Tensor => ({ ...x, data: x.data.map(compute) });

const both =
  (compute: (a: number, b: number) => number, type?: TypeName) =>
  ([a, b]: readonly Tensor[]): Tensor => {
    if (a === undefined || b === undefined || a.type !== b.type) throw new Error("two tensors of one type");
    const shape = broadcast(a.shape, b.shape);
    const [ofA, ofB] = [places(a.shape, shape), places(b.shape, shape)];
    const data = Float64Array.from(ofA, (place, i) => compute(at(a.data, place), at(b.data, ofB[i] ?? -1)));
    return tensor(shape, data, type ?? a.type);
  };

/** a [.., n, k] · b [.., k, m], where the first axes broadcast. */
const matMul = (a: Tensor, b: Tensor, type: TypeName): Tensor => {
  const [n = 0, k = 0] = a.shape.slice(-2);
  const [inner = 0, m = 0] = b.shape.slice(-2);
  if (k !== inner) throw new Error(`[${a.shape}] · [${b.shape}]`);
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [ofA, ofB] = [places(a.shape.slice(0, -2), batch), places(b.shape.slice(0, -2), batch)];
  const data = new Float64Array(sizeOf(batch) * n * m);
  for (let i = 0; i < ofA.length; i++) {
    const [fromA, fromB] = [(ofA[i] ?? 0) * n * k, (ofB[i] ?? 0) * k * m];
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < m; column++) {
        let sum = 0;
        for (let j = 0; j < k; j++) sum += at(a.data, fromA + row * k + j) * at(b.data, fromB + j * m + column);
        data[(i * n + row) * m + column] = sum;
      }
    }
  }
  return tensor([...batch, n, m], data, type);
};

const transpose = (x: Tensor, order: readonly number[]): Tensor => {
  const shape = order.map((axis) => x.shape[axis] ?? 0);
  const strides = x.shape.map((_, axis) => sizeOf(x.shape.slice(axis + 1)));
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) {
    let [rest, place] = [i, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      place += (rest % size) * (strides[order[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / size);
    }
    data[i] = at(x.data, place);
  }
  return tensor(shape, data, x.type);
};

/** Axes before `axis`, the axis, and those after it, each as one. */
const around = ({ shape }: Tensor, axis: number) => {
  const place = axis < 0 ? axis + shape.length : axis;
  return {
    place,
    before: sizeOf(shape.slice(0, place)),
    size: shape[place] ?? 0,
    after: sizeOf(shape.slice(place + 1)),
  };
};

const concat = (parts: readonly Tensor[], axis: number): Tensor => {
  const [first] = parts;
  if (first === undefined) throw new Error("nothing to join");
  const { place, before, after } = around(first, axis);
  const sizes = parts.map((part) => part.shape[place] ?? 0);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const data = new Float64Array(before * all * after);
  for (let i = 0; i < before; i++) {
    let done = i * all * after;
    for (const [number, part] of parts.entries()) {
      const length = (sizes[number] ?? 0) * after;
      data.set(part.data.subarray(i * length, (i + 1) * length), done);
      done += length;
    }
  }
  return tensor(first.shape.with(place, all), data, first.type);
};

const split = (x: Tensor, axis: number, sizes: readonly number[]): readonly Tensor[] => {
  const { place, before, size, after } = around(x, axis);
  let start = 0;
  return sizes.map((part) => {
    const data = new Float64Array(before * part * after);
    for (let i = 0; i < before; i++) {
      const from = (i * size + start) * after;
      data.set(x.data.subarray(from, from + part * after), i * part * after);
    }
    start += part;
    return tensor(x.shape.with(place, part), data, x.type);
  });
};

const gather = (x: Tensor, indices: Tensor, axis: number): Tensor => {
  const { place, before, size, after } = around(x, axis);
  const count = indices.data.length;
  const data = new Float64Array(before * count * after);
  for (let i = 0; i < before; i++) {
    for (let j = 0; j < count; j++) {
      const index = at(indices.data, j);
      if (!(index >= 0 && index < size)) throw new Error(`index ${index} of ${size}`);
      const from = (i * size + index) * after;
      data.set(x.data.subarray(from, from + after), (i * count + j) * after);
    }
  }
  return tensor([...x.shape.slice(0, place), ...indices.shape, ...x.shape.slice(place + 1)], data, x.type);
};

/** Computes something of each row of the last axis. */
const perRow = (x: Tensor, width: number, compute: (row: Float64Array) => readonly number[] | Float64Array): Tensor => {
  const size = x.shape.at(-1) ?? 1;
  const rows = x.data.length / size;
  const data = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) data.set(compute(x.data.subarray(row * size, (row + 1) * size)), row * width);
  return tensor([...x.shape.slice(0, -1), width], data, x.type);
};

const meanOf = (row: Float64Array): number => row.reduce((sum, value) => sum + value, 0) / row.length;

const softmax = (row: Float64Array): Float64Array => {
  const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = row.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
};

/** erf by its series, which converges for all arguments in use here. */
const erf = (x: number): number => {
  if (Math.abs(x) > 5) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

/** Halves go to the even neighbour. */
const roundEven = (x: number): number => {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
};

const reshape = (x: Tensor, wanted: readonly number[]): Tensor => {
  const sizes = wanted.map((size, axis) => (size === 0 ? (x.shape[axis] ?? 0) : size));
  const rest = x.data.length / sizeOf(sizes.filter((size) => size !== -1));
  return tensor(
    sizes.map((size) => (size === -1 ? rest : size)),
    x.data,
    x.type,
  );
};

const layerNorm = (x: Tensor, gamma: Tensor, beta: Tensor, eps: number): Tensor =>
  perRow(x, gamma.data.length, (row) => {
    const mean = meanOf(row);
    const scale = 1 / Math.sqrt(meanOf(row.map((value) => (value - mean) ** 2)) + eps);
    return row.map((value, i) => (value - mean) * scale * at(gamma.data, i) + at(beta.data, i));
  });

const cast = (x: Tensor, type: TypeName): Tensor => {
  if (type === "bool") return { ...each(x, (value) => (value === 0 ? 0 : 1)), type };
  if (type === "uint8" && x.data.some((value) => !(value >= 0 && value <= 255))) throw new Error("no byte");
  return { ...(type === "uint8" ? each(x, Math.trunc) : x), type };
};

const compute = (node: ReadNode, inputs: readonly Tensor[]): Tensor | readonly Tensor[] => {
  const input = (i: number): Tensor => {
    const found = inputs[i];
    if (found === undefined) throw new Error(`${node.name} has no input ${i}`);
    return found;
  };
  const number = (name: string): number => {
    const value = node.attributes[name];
    if (typeof value !== "number") throw new Error(`${node.name} has no ${name}`);
    return value;
  };
  const list = (name: string): readonly number[] => {
    const value = node.attributes[name];
    if (typeof value !== "object") throw new Error(`${node.name} has no ${name}`);
    return value;
  };
  const lastAxis = (): void => {
    if (list("axes").join() !== "-1" || number("keepdims") !== 1) throw new Error(`axes of ${node.name}`);
  };
  const x = input(0);
  switch (node.op) {
    case "Abs":
      return each(x, Math.abs);
    case "Add":
      return both((a, b) => a + b)(inputs);
    case "And":
      return both((a, b) => a * b)(inputs);
    case "Cast":
      return cast(x, typeOf(number("to")));
    case "Concat":
      return concat(inputs, number("axis"));
    case "Div":
      return both((a, b) => a / b)(inputs);
    case "Erf":
      return each(x, erf);
    case "Gather":
      return gather(x, input(1), number("axis"));
    case "Gemm": {
      if (number("transB") !== 1) throw new Error("a Gemm of another kind");
      const y = matMul(x, transpose(input(1), [1, 0]), x.type);
      return inputs.length < 3 ? y : both((a, b) => a + b)([y, input(2)]);
    }
    case "LayerNormalization":
      return layerNorm(x, input(1), input(2), number("epsilon"));
    case "LessOrEqual":
      return both((a, b) => (a <= b ? 1 : 0), "bool")(inputs);
    case "MatMul":
      return matMul(x, input(1), x.type);
    case "MatMulInteger": {
      const [zeroA, zeroB] = [at(input(2).data, 0), at(input(3).data, 0)];
      if (inputs.some(({ type }) => type !== "uint8")) throw new Error("whole numbers of another type");
      return matMul(
        each(x, (value) => value - zeroA),
        each(input(1), (value) => value - zeroB),
        "int32",
      );
    }
    case "Max":
      return both(Math.max)(inputs);
    case "Mul":
      return both((a, b) => a * b)(inputs);
    case "Pow":
      return both((a, b) => a ** b)(inputs);
    case "Range": {
      const [first, end, step] = [0, 1, 2].map((i) => at(input(i).data, 0)) as [number, number, number];
      const count = Math.max(0, Math.ceil((end - first) / step));
      return tensor(
        [count],
        Float64Array.from({ length: count }, (_, i) => first + i * step),
        x.type,
      );
    }
    case "ReduceMax":
      lastAxis();
      return perRow(x, 1, (row) => [row.reduce((a, b) => Math.max(a, b))]);
    case "ReduceMean":
      lastAxis();
      return perRow(x, 1, (row) => [meanOf(row)]);
    case "Reshape":
      return reshape(x, [...input(1).data]);
    case "Round":
      return each(x, roundEven);
    case "Shape":
      return tensor([x.shape.length], Float64Array.from(x.shape), "int64");
    case "Sigmoid":
      return each(x, (value) => 1 / (1 + Math.exp(-value)));
    case "Softmax":
      if (number("axis") !== -1) throw new Error("an axis of Softmax");
      return perRow(x, x.shape.at(-1) ?? 0, softmax);
    case "Split": {
      const axis = number("axis");
      const [count, { size }] = [node.outputs.length, around(x, axis)];
      return split(x, axis, inputs.length > 1 ? [...input(1).data] : new Array<number>(count).fill(size / count));
    }
    case "Sqrt":
      return each(x, Math.sqrt);
    case "Sub":
      return both((a, b) => a - b)(inputs);
    case "Tanh":
      return each(x, Math.tanh);
    case "Transpose":
      return transpose(x, list("perm"));
    case "Unsqueeze": {
      const [axis = 0] = input(1).data;
      return tensor(x.shape.toSpliced(axis, 0, 1), x.data, x.type);
    }
    case "Where": {
      const chosen = both((a, b) => a + b)([input(1), input(2)]).shape;
      const shape = broadcast(x.shape, chosen);
      const [ofX, yes, no] = [x, input(1), input(2)].map(({ shape: from }) => places(from, shape));
      const data = Float64Array.from(ofX ?? [], (place, i) =>
        at(x.data, place) === 1 ? at(input(1).data, yes?.[i] ?? -1) : at(input(2).data, no?.[i] ?? -1),
      );
      return tensor(shape, data, input(1).type);
    }
    default:
      throw new Error(`the operator ${node.op}`);
  }
};

/**
 * The outputs of a graph.
 * @param given its inputs by name, of the types and shapes that it names.
 */
export const runOnnx = (
  { nodes, tensors, inputs, outputs }: ReadModel,
  given: Readonly<Record<string, Tensor>>,
): Readonly<Record<string, Tensor>> => {
  const values = new Map(tensors);
  const sizes = new Map<string, number>();
  const agree = (name: string, shape: readonly number[], declared: readonly (number | string)[]): void => {
    const found = declared.map((size, axis) => {
      if (typeof size === "number") return size;
      const known = sizes.get(size) ?? shape[axis] ?? -1;
      sizes.set(size, known);
      return known;
    });
    if (found.join() !== shape.join()) throw new Error(`${name} has shape [${shape}] in place of [${found}]`);
  };
  for (const { name, type, shape } of inputs) {
    const value = given[name];
    if (value?.type !== type) throw new Error(`the input ${name} must be of ${type}`);
    agree(name, value.shape, shape);
    values.set(name, value);
  }
  for (const node of nodes) {
    const found = node.inputs.map((name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`${node.name} reads ${name}, which nothing has made yet`);
      return value;
    });
    const made = compute(node, found);
    for (const [i, value] of (Array.isArray(made) ? made : [made]).entries()) {
      const name = node.outputs[i] ?? "";
      if (values.has(name)) throw new Error(`${name} is made twice`);
      values.set(name, value);
    }
  }
  return Object.fromEntries(
    outputs.map(({ name, shape }) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`nothing makes the output ${name}`);
      agree(name, value.shape, shape);
      return [name, value];
    }),
  );
};
