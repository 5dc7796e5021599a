/** Builds an ONNX graph, one operator at a time. */
import type { Shape } from "../../core/tensors/shape.ts";
import type { Attribute, ElementType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from "../../io/onnx/model.ts";

/** Operators that exported models use, all in the default domain. */
export const operators = [
  ...(["Abs", "Add", "And", "Cast", "Concat", "Div", "Erf", "Gather", "Gemm", "LayerNormalization"] as const),
  ...(["LessOrEqual", "MatMul", "MatMulInteger", "Max", "Mul", "Pow", "Range", "ReduceMax", "ReduceMean"] as const),
  ...(["Reshape", "Round", "Shape", "Sigmoid", "Softmax", "Split", "Sqrt", "Sub", "Tanh"] as const),
  ...(["Transpose", "Unsqueeze", "Where"] as const),
] as const;
/** An operator that exported models use. */
export type Operator = (typeof operators)[number];

/** Name of a tensor in the graph. */
export type Name = string;

/** Attributes of an operator, by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

export const whole = (value: number): Attribute => ({ kind: "whole", value });
export const wholes = (...value: readonly number[]): Attribute => ({ kind: "wholes", value });
export const float = (value: number): Attribute => ({ kind: "float", value });

/** A graph that is being built. */
export interface GraphBuilder {
  /** Adds an operator with one output. @param output name of the output. Default: a new name. */
  readonly node: (op: Operator, inputs: readonly Name[], attributes?: Attributes, output?: Name) => Name;
  /** Splits a tensor along an axis into parts of the given sizes. */
  readonly split: (input: Name, axis: number, sizes: readonly number[]) => readonly Name[];
  /** Splits a tensor along an axis into two parts of equal size. */
  readonly halves: (input: Name, axis: number) => readonly [Name, Name];
  /** Adds a constant vector of integers. Equal vectors are stored once. */
  readonly wholes: (...values: readonly number[]) => Name;
  /** Adds a constant number. Equal numbers are stored once. */
  readonly scalar: (value: number, type?: ElementType) => Name;
  /** Adds a tensor to the file. */
  readonly tensor: (tensor: OnnxTensor) => Name;
  /** Reserves a name for an input or output. */
  readonly reserve: (name: Name) => void;
  /** Puts the prefix `place` before the names of all nodes and tensors that `build` adds. */
  readonly within: <T>(place: string, build: () => T) => T;
  /** Returns the finished graph. */
  readonly finish: (name: string, inputs: readonly OnnxValue[], outputs: readonly OnnxValue[]) => OnnxGraph;
}

const bytesOf = (values: readonly number[], type: ElementType): Uint8Array => {
  switch (type) {
    case "float32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "int64":
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    case "uint8":
      return Uint8Array.from(values);
    default:
      return type satisfies never;
  }
};

/** A tensor with a few constant numbers. */
const constant = (name: string, type: ElementType, shape: Shape, values: readonly number[]): OnnxTensor => ({
  ...{ name, type, shape },
  async *pieces() {
    yield bytesOf(values, type);
  },
});

/** Creates an empty graph. */
export const graphBuilder = (): GraphBuilder => {
  const nodes: OnnxNode[] = [];
  const tensors: OnnxTensor[] = [];
  const names = new Set<Name>();
  const places: string[] = [];
  const free = (wanted: string): Name => {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`;
      if (names.has(name)) continue;
      names.add(name);
      return name;
    }
  };
  const add = (op: Operator, inputs: readonly Name[], attributes: Attributes, outputs: readonly Name[]): void => {
    nodes.push({ op, name: free([...places, op].join("/")), inputs, outputs, attributes });
  };
  const fresh = (op: Operator): Name => free(`${[...places, op].join("/")}:y`);
  const tensor = (added: OnnxTensor): Name => {
    if (names.has(added.name)) throw new Error(`${added.name} was added before`);
    names.add(added.name);
    tensors.push(added);
    return added.name;
  };
  const shared = (type: ElementType, shape: Shape, values: readonly number[]): Name => {
    const name = `${type}[${values.join(",")}]${shape.length === 0 ? "" : `(${shape.join(",")})`}`;
    return names.has(name) ? name : tensor(constant(name, type, shape, values));
  };
  const numbers = (...values: readonly number[]): Name => shared("int64", [values.length], values);
  return {
    node(op, inputs, attributes = {}, output = fresh(op)) {
      add(op, inputs, attributes, [output]);
      return output;
    },
    split(input, axis, sizes) {
      const outputs = sizes.map(() => fresh("Split"));
      add("Split", [input, numbers(...sizes)], { axis: whole(axis) }, outputs);
      return outputs;
    },
    halves(input, axis) {
      const outputs = [fresh("Split"), fresh("Split")] as const;
      add("Split", [input], { axis: whole(axis) }, outputs);
      return outputs;
    },
    wholes: numbers,
    scalar: (value, type = "float32") => shared(type, [], [value]),
    tensor,
    reserve: (name) => {
      names.add(name);
    },
    within(place, build) {
      places.push(place);
      const built = build();
      places.pop();
      return built;
    },
    finish: (name, inputs, outputs) => ({ name, nodes, tensors, inputs, outputs }),
  };
};
