/** Operators that only move numbers, or that make numbers from the sizes of tensors. */
import { formatShape, sizeOf } from "../../../core/tensors/shape.ts";
import { aroundAxis, type Call, inputOf, numberOf, numbersOf, requireType, room, wholesOf } from "./call.ts";
import { eachStep, type Tensor } from "./tensor.ts";

export const concat = (call: Call): Tensor => {
  const { inputs, refuse } = call;
  const first = inputOf(call, 0);
  const { place, before, after } = aroundAxis(call, first.shape, numberOf(call, "axis"));
  for (const { type, shape } of inputs) {
    if (type === first.type && shape.length === first.shape.length && sizeOf(shape.with(place, 1)) === before * after) {
      if (shape.every((size, axis) => axis === place || size === first.shape[axis])) continue;
    }
    const got = inputs.map((one) => `${formatShape(one.shape)} ${one.type}`).join(" and ");
    throw refuse(`must join tensors of one type with sizes that differ only in axis ${place}`, got);
  }
  const all = inputs.reduce((sum, { shape }) => sum + (shape[place] as number), 0);
  const shape = first.shape.with(place, all);
  const data = room(call, first.type, shape);
  let done = 0;
  for (const part of inputs) {
    const length = (part.shape[place] as number) * after;
    for (let i = 0; i < before; i++) {
      data.set(part.data.subarray(i * length, (i + 1) * length), i * all * after + done);
    }
    done += length;
  }
  return { type: first.type, shape, data };
};

export const split = (call: Call): readonly Tensor[] => {
  const { outputs, refuse, inputs } = call;
  const x = inputOf(call, 0);
  const { place, before, size, after } = aroundAxis(call, x.shape, numberOf(call, "axis", 0));
  const sizes = inputs.length > 1 ? wholesOf(call, 1) : new Array<number>(outputs).fill(size / outputs);
  const all = sizes.reduce((sum, part) => sum + part, 0);
  if (sizes.length !== outputs || all !== size || sizes.some((part) => !Number.isInteger(part) || part < 0)) {
    throw refuse(`must split ${size} into ${outputs} parts`, `[${sizes.join(", ")}]`);
  }
  let start = 0;
  return sizes.map((part) => {
    const shape = x.shape.with(place, part);
    const data = room(call, x.type, shape);
    for (let i = 0; i < before; i++) {
      const from = (i * size + start) * after;
      data.set(x.data.subarray(from, from + part * after), i * part * after);
    }
    start += part;
    return { type: x.type, shape, data };
  });
};

export const gather = (call: Call): Tensor => {
  const [x, indices] = [inputOf(call, 0), inputOf(call, 1)];
  requireType(call, indices, ["int64"]);
  const { place, before, size, after } = aroundAxis(call, x.shape, numberOf(call, "axis", 0));
  const count = indices.data.length;
  const places = Array.from(indices.data, (index) => {
    if (index >= -size && index < size) return index < 0 ? index + size : index;
    throw call.refuse(`must have indices from ${-size} to ${size - 1}`, String(index));
  });
  const shape = [...x.shape.slice(0, place), ...indices.shape, ...x.shape.slice(place + 1)];
  const data = room(call, x.type, shape);
  for (let i = 0; i < before; i++) {
    for (let j = 0; j < count; j++) {
      const [from, to] = [(i * size + (places[j] as number)) * after, (i * count + j) * after];
      if (after === 1) data[to] = x.data[from] as number;
      else data.set(x.data.subarray(from, from + after), to);
    }
  }
  return { type: x.type, shape, data };
};

export const transpose = (call: Call): Tensor => {
  const [x, order] = [inputOf(call, 0), numbersOf(call, "perm")];
  const axes = x.shape.map((_, axis) => axis);
  if (order.length !== axes.length || !axes.every((axis) => order.includes(axis))) {
    throw call.refuse(`perm must be a permutation of the axes of ${formatShape(x.shape)}`, `[${order.join(", ")}]`);
  }
  const strides = axes.map((axis) => sizeOf(x.shape.slice(axis + 1)));
  const shape = order.map((axis) => x.shape[axis] as number);
  const data = room(call, x.type, shape);
  const steps = order.map((axis) => strides[axis] as number);
  eachStep(shape, [steps], (at, count, [from = 0], [step = 0]) => {
    for (let i = 0; i < count; i++) data[at + i] = x.data[from + i * step] as number;
  });
  return { type: x.type, shape, data };
};

export const reshape = (call: Call): Tensor => {
  const [x, wanted] = [inputOf(call, 0), wholesOf(call, 1)];
  const sizes = wanted.map((size, axis) => (size === 0 ? (x.shape[axis] ?? 0) : size));
  const known = sizeOf(sizes.filter((size) => size !== -1));
  const rest = known === 0 ? 0 : x.data.length / known;
  const shape = sizes.map((size) => (size === -1 ? rest : size));
  const isShape = shape.every((size) => Number.isInteger(size) && size >= 0) && sizeOf(shape) === x.data.length;
  if (isShape && sizes.filter((size) => size === -1).length < 2) return { ...x, shape };
  throw call.refuse(
    `must give ${formatShape(x.shape)} a shape with the same number of elements`,
    `[${wanted.join(", ")}]`,
  );
};

export const unsqueeze = (call: Call): Tensor => {
  const [x, axes] = [inputOf(call, 0), wholesOf(call, 1)];
  const rank = x.shape.length + 1;
  const [axis = rank] = axes;
  const place = axis < 0 ? axis + rank : axis;
  if (axes.length === 1 && place >= 0 && place < rank) return { ...x, shape: x.shape.toSpliced(place, 0, 1) };
  throw call.refuse(`must add one axis to ${formatShape(x.shape)}`, `axes [${axes.join(", ")}]`);
};

export const shapeOf = (call: Call): Tensor => {
  const { shape } = inputOf(call, 0);
  return { type: "int64", shape: [shape.length], data: Float64Array.from(shape) };
};

/** Maximum number of values that `Range` makes. For a text, it makes one value per token. */
const longestRange = 2 ** 24;

export const range = (call: Call): Tensor => {
  const [first, end, step] = [0, 1, 2].map((place) => {
    const [value, ...others] = wholesOf(call, place);
    if (value !== undefined && others.length === 0) return value;
    throw call.refuse(`input ${place} must be one number`, `${value === undefined ? 0 : others.length + 1} numbers`);
  }) as [number, number, number];
  const count = Math.max(0, Math.ceil((end - first) / step));
  if (!(count <= longestRange)) {
    throw call.refuse(`must make at most ${longestRange} numbers`, `from ${first} to ${end} by ${step}`);
  }
  return { type: "int64", shape: [count], data: Float64Array.from({ length: count }, (_, i) => first + i * step) };
};
