/** Tests the operators by their definitions. Also tests graphs that Foretoken refuses. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import type { ReadModel, ReadNode, StoredTensor } from "#foretoken/io/onnx/read.js";
import { operators } from "#foretoken/pretrained/onnx/builder.js";
import { runnableGraph } from "#foretoken/pretrained/onnx/run/graph.js";
import { operatorOf } from "#foretoken/pretrained/onnx/run/operators.js";
import { productsOn } from "#foretoken/pretrained/onnx/run/products.js";
import type { Tensor } from "#foretoken/pretrained/onnx/run/tensor.js";

let backend: Backend;
beforeAll(async () => {
  backend = await openReference({ real: "float64" });
});
afterAll(() => backend.close());

/** A tensor. Default type: float32. */
const of = (shape: readonly number[], values: readonly number[], type: Tensor["type"] = "float32"): Tensor => ({
  ...{ type, shape },
  data: type === "uint8" || type === "bool" ? Uint8Array.from(values) : Float64Array.from(values),
});
const whole = (...values: readonly number[]): Tensor => of([values.length], values, "int64");
const number = (value: number, type: Tensor["type"] = "int64"): Tensor => of([], [value], type);
const bytes = (shape: readonly number[], values: readonly number[]): Tensor => of(shape, values, "uint8");
const matrix = of([2, 3], [1, -2, 3, 4, 5, -6]);

type Attributes = Readonly<Record<string, number | readonly number[]>>;

const nodeOf = (op: string, inputs: readonly string[], attributes: Attributes = {}): ReadNode => ({
  ...{ op, domain: "", name: "a", inputs, outputs: ["y"], attributes: new Map(Object.entries(attributes)) },
});

const modelOf = (given: readonly Tensor[], node: ReadNode, wanted: readonly Tensor[] = []): ReadModel => ({
  ...{ schemaVersion: 8, operatorSets: [{ domain: "", version: 17 }], nodes: [node], tensors: new Map() },
  inputs: given.map(({ type, shape }, i) => ({ name: `x${i}`, type, shape })),
  outputs: wanted.map(({ type, shape }, i) => ({ name: node.outputs[i] ?? "", type, shape })),
});

/** The output tensors of a node. Checks their types and shapes. */
const made = async (
  node: ReadNode,
  given: readonly Tensor[],
  wanted: readonly Tensor[],
): Promise<readonly Tensor[]> => {
  const products = productsOn(backend);
  const inputs = Object.fromEntries(given.map((tensor, i) => [`x${i}`, tensor]));
  const found = await runnableGraph("model.onnx", modelOf(given, node, wanted), products).run(inputs);
  products.close();
  return node.outputs.map((name) => found[name] as Tensor);
};

const run = async (
  op: string,
  given: readonly Tensor[],
  attributes: Attributes | undefined,
  wanted: Tensor,
): Promise<Tensor> => {
  const names = given.map((_, i) => `x${i}`);
  return (await made(nodeOf(op, names, attributes), given, [wanted]))[0] as Tensor;
};

type Case = readonly [op: string, given: readonly Tensor[], made: Tensor, attributes?: Attributes];
const cases: readonly Case[] = [
  ["Abs", [matrix], of([2, 3], [1, 2, 3, 4, 5, 6])],
  ["Add", [matrix, of([2, 1], [10, 20])], of([2, 3], [11, 8, 13, 24, 25, 14])],
  [
    "Add",
    [of([2, 1, 2], [1, 2, 3, 4]), of([3, 1], [10, 20, 30])],
    of([2, 3, 2], [11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34]),
  ],
  ["And", [of([2], [1, 1], "bool"), of([2], [1, 0], "bool")], of([2], [1, 0], "bool")],
  ["Cast", [of([3], [0, 1.9, 255.5])], bytes([3], [0, 1, 255]), { to: 2 }],
  ["Cast", [whole(0, -3)], of([2], [0, 1], "bool"), { to: 9 }],
  ["Cast", [bytes([1], [7])], of([1], [7]), { to: 1 }],
  ["Concat", [matrix, of([2, 1], [7, 8])], of([2, 4], [1, -2, 3, 7, 4, 5, -6, 8]), { axis: -1 }],
  ["Div", [matrix, number(2, "float32")], of([2, 3], [0.5, -1, 1.5, 2, 2.5, -3])],
  // Abramowitz & Stegun, table 7.1.
  ["Erf", [of([4], [0, 0.5, -1, 2])], of([4], [0, 0.520_499_877_8, -0.842_700_792_9, 0.995_322_265])],
  ["Gather", [matrix, whole(1, 0, -1)], of([3, 3], [4, 5, -6, 1, -2, 3, 4, 5, -6])],
  ["Gather", [matrix, number(1)], of([2], [-2, 5]), { axis: 1 }],
  [
    "Gemm",
    [matrix, of([2, 3], [1, 1, 1, 0, 1, 0]), of([2], [0.5, 100])],
    of([2, 2], [2.5, 98, 3.5, 105]),
    { transB: 1 },
  ],
  ["LayerNormalization", [of([1, 2], [1, 3]), of([2], [1, 2]), of([2], [10, 20])], of([1, 2], [9, 22]), { epsilon: 0 }],
  ["LessOrEqual", [whole(1, 2, 3), number(2)], of([3], [1, 1, 0], "bool")],
  ["MatMul", [matrix, of([3, 1], [1, 2, 3])], of([2, 1], [6, -4])],
  ["MatMul", [of([2, 1, 2], [1, 2, 3, 4]), of([1, 2, 2], [1, 0, 10, 1])], of([2, 1, 2], [21, 2, 43, 4])],
  ["MatMulInteger", [bytes([1, 2], [130, 0]), bytes([2, 2], [1, 255, 128, 0])], of([1, 2], [130, 33_150], "int32")],
  [
    "MatMulInteger",
    [bytes([1, 2], [130, 0]), bytes([2, 2], [1, 255, 128, 0]), number(128, "uint8"), number(128, "uint8")],
    of([1, 2], [-254, 16_638], "int32"),
  ],
  ["Max", [matrix, number(0, "float32")], of([2, 3], [1, 0, 3, 4, 5, 0])],
  ["Mul", [matrix, of([3], [1, 2, 0])], of([2, 3], [1, -4, 0, 4, 10, 0])],
  ["Pow", [of([2], [3, 2]), number(2, "float32")], of([2], [9, 4])],
  ["Range", [number(2), number(9), number(3)], whole(2, 5, 8)],
  ["Range", [number(2), number(2), number(1)], whole()],
  ["ReduceMax", [matrix], of([2, 1], [3, 5]), { axes: [-1] }],
  ["ReduceMean", [matrix], of([2, 1], [2 / 3, 1]), { axes: [1], keepdims: 1 }],
  ["Reshape", [matrix, whole(0, -1, 1)], of([2, 3, 1], [...matrix.data])],
  ["Round", [of([4], [0.5, 1.5, -2.5, 2.6])], of([4], [0, 2, -2, 3])],
  ["Shape", [matrix], whole(2, 3)],
  ["Sigmoid", [of([2], [0, Math.log(3)])], of([2], [0.5, 0.75])],
  ["Softmax", [of([2, 2], [0, Math.log(3), -1e30, -1e30])], of([2, 2], [0.25, 0.75, 0.5, 0.5])],
  ["Sqrt", [of([1], [9])], of([1], [3])],
  ["Sub", [whole(5), number(7)], whole(-2)],
  ["Tanh", [of([1], [Math.log(3) / 2])], of([1], [0.5])],
  ["Transpose", [matrix], of([3, 2], [1, 4, -2, 5, 3, -6]), { perm: [1, 0] }],
  ["Transpose", [of([2, 1, 2], [1, 2, 3, 4])], of([2, 2, 1], [1, 3, 2, 4]), { perm: [2, 0, 1] }],
  ["Unsqueeze", [matrix, whole(1)], of([2, 1, 3], [...matrix.data])],
  ["Where", [of([2, 1], [1, 0], "bool"), matrix, number(9, "float32")], of([2, 3], [1, -2, 3, 9, 9, 9])],
];

describe("an operator", () => {
  it.each(cases.map((one) => ({ op: one[0], one })))("$op computes by its definition", async ({ one }) => {
    const [op, given, wanted, attributes] = one;
    const { type, shape, data } = await run(op, given, attributes, wanted);
    expect({ type, shape }).toEqual({ type: wanted.type, shape: wanted.shape });
    for (const [i, value] of wanted.data.entries()) expect(data[i]).toBeCloseTo(value, 9);
  });

  it("Split cuts into parts of given sizes, and of the same size", async () => {
    const parts = async (inputs: readonly string[], wanted: readonly Tensor[]): Promise<void> => {
      const node = { ...nodeOf("Split", inputs, { axis: 1 }), outputs: wanted.map((_, i) => `y${i}`) };
      const found = await made(node, [matrix, whole(1, 2)], wanted);
      expect(found.map(({ data }) => [...data])).toEqual(wanted.map(({ data }) => [...data]));
    };
    await parts(["x0", "x1"], [of([2, 1], [1, 4]), of([2, 2], [-2, 3, 5, -6])]);
    await parts(["x0"], [of([2, 1], [1, 4]), of([2, 1], [-2, 5]), of([2, 1], [3, -6])]);
    await expect(parts(["x0"], [of([2, 1], [1, 4]), of([2, 2], [0, 0, 0, 0])])).rejects.toThrow(
      "must split 3 into 2 parts",
    );
  });

  it("is here for each one that graphs are written with, and has a case", () => {
    const tested = new Set(["Split", ...cases.map(([op]) => op)]);
    expect([...tested].sort()).toEqual([...operators].sort());
    expect(operators.filter((op) => operatorOf(op) === undefined)).toEqual([]);
    expect(["constructor", "RotaryEmbedding"].map(operatorOf)).toEqual([undefined, undefined]);
  });

  it("MatMulInteger adds up thousands of products exactly, also from the file's weights", async () => {
    const single = await openReference();
    const k = 3000;
    const [a, b] = [
      Array.from({ length: k }, (_, i) => (i * 37) % 256),
      Array.from({ length: k }, (_, i) => (i * 91) % 256),
    ];
    const node = nodeOf("MatMulInteger", ["x", "w", "zero", "zero"]);
    const stored = (shape: readonly number[], values: readonly number[]): StoredTensor => ({
      ...{ type: "uint8", shape },
      read: async () => Uint8Array.from(values),
    });
    const products = productsOn(single);
    const model: ReadModel = {
      ...modelOf([], node),
      tensors: new Map([
        ["w", stored([k, 1], b)],
        ["zero", stored([], [128])],
      ]),
      inputs: [{ name: "x", type: "uint8", shape: [1, k] }],
      outputs: [{ name: "y", type: "int32", shape: [1, 1] }],
    };
    const graph = runnableGraph("model.onnx", model, products);
    const sum = a.reduce((all, value, i) => all + (value - 128) * ((b[i] as number) - 128), 0);
    for (let i = 0; i < 2; i++) expect((await graph.run({ x: bytes([1, k], a) })).y?.data[0]).toBe(sum);
    products.close();
    expect(single.bytesInUse()).toBe(0);
    await single.close();
  });
});

describe("a node that does not run here", () => {
  it.each<readonly [what: string, op: string, given: readonly Tensor[], attributes: Attributes, message: RegExp]>([
    [
      "sizes that do not fit",
      "MatMul",
      [matrix, matrix],
      {},
      /multiply matrices with matching sizes; got \[2, 3\] and \[2, 3\]/u,
    ],
    [
      "shapes that do not broadcast",
      "Add",
      [matrix, of([2], [1, 2])],
      {},
      /with shapes that broadcast; got \[2, 3\] and \[2\]/u,
    ],
    ["another type", "Sqrt", [whole(4)], {}, /must read tensors of float32; got int64/u],
    ["two types", "Add", [matrix, whole(4)], {}, /must read tensors of float32; got int64/u],
    ["an index outside", "Gather", [matrix, whole(2)], {}, /must have indices from -2 to 1; got 2/u],
    ["an axis outside", "Concat", [matrix], { axis: 2 }, /must have an axis 2; got \[2, 3\]/u],
    ["parts of other sizes", "Concat", [matrix, of([1, 1], [1])], { axis: 1 }, /must join tensors/u],
    ["an attribute that is missing", "Concat", [matrix], {}, /axis must be a number; got nothing/u],
    ["an attribute of another kind", "Transpose", [matrix], { perm: 1 }, /perm must be a list of numbers; got 1/u],
    ["an order that is none", "Transpose", [matrix], { perm: [0, 0] }, /perm must be a permutation of the axes/u],
    [
      "an attribute that is not read",
      "Softmax",
      [matrix],
      { mode: 1 },
      /must have only supported attributes of Softmax; got mode/u,
    ],
    ["another axis", "Softmax", [matrix], { axis: 0 }, /must use the last axis; got axis 0/u],
    ["a product of another form", "Gemm", [matrix, matrix], {}, /transB must be 1; got 0/u],
    [
      "a shape of more numbers",
      "Reshape",
      [matrix, whole(4, -1)],
      {},
      /a shape with the same number of elements; got \[4, -1\]/u,
    ],
    ["two open sizes", "Reshape", [matrix, whole(-1, -1)], {}, /a shape with the same number of elements/u],
    ["a number that is no byte", "Cast", [of([1], [256])], { to: 2 }, /must cast numbers from 0 to 255; got 256/u],
    ["a range without an end", "Range", [number(0), number(2 ** 52), number(1)], {}, /must make at most/u],
    ["a range with a step of 0", "Range", [number(0), number(1), number(0)], {}, /must make at most/u],
    [
      "a result of many gigabytes",
      "Add",
      [of([2 ** 15, 1], new Array(2 ** 15).fill(0)), of([2 ** 15], new Array(2 ** 15).fill(0))],
      {},
      /must make a tensor of 0 to/u,
    ],
    [
      "an operator of nobody",
      "RotaryEmbedding",
      [matrix],
      {},
      /must be an operator that export writes; got RotaryEmbedding/u,
    ],
    ["too few inputs", "Add", [matrix], {}, /must have 2 inputs; got 1/u],
  ])("is refused by name: %s", async (_, op, given, attributes, message) => {
    await expect(run(op, given, attributes, matrix)).rejects.toThrow(message);
    await expect(run(op, given, attributes, matrix)).rejects.toThrow(`model.onnx: node a (${op}) `);
  });

  it("is one of another domain, or a graph of another version", () => {
    const products = productsOn(backend);
    const model = modelOf([matrix], nodeOf("Abs", ["x0"]));
    const check = (changed: Partial<ReadModel>) => () =>
      runnableGraph("model.onnx", { ...model, ...changed }, products);
    expect(check({})).not.toThrow();
    const other = { ...nodeOf("Abs", ["x0"]), domain: "com.microsoft" };
    expect(check({ nodes: [other] })).toThrow(
      "node a (Abs) must be an operator that export writes; got Abs of com.microsoft",
    );
    const versions = (version: number) => [{ domain: "", version }];
    expect(check({ operatorSets: versions(18) })).toThrow(
      "must use ONNX's default operators, version 13 to 17; got version 18",
    );
    expect(check({ nodes: [nodeOf("Abs", ["z"])] })).toThrow('must read only tensors that exist already; got "z"');
    expect(check({ nodes: [...model.nodes, ...model.nodes] })).toThrow('must give each output a new name; got "y"');
    expect(check({ outputs: [{ name: "z", type: "float32", shape: [] }] })).toThrow(
      'a node must compute every output of the graph; got "z"',
    );
  });
});
