import { describe, expect, it } from "vitest";
import { onnxFiles } from "#foretoken/io/onnx/files.js";
import type { ElementType, OnnxGraph, OnnxTensor } from "#foretoken/io/onnx/model.js";
import type { LateBytes } from "#foretoken/io/onnx/wire.js";
import { readWhole } from "../../support/onnx/read.ts";

const bytesOf = async ({ length, pieces }: LateBytes): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const piece of pieces()) {
    bytes.set(piece, at);
    at += piece.length;
  }
  expect(at).toBe(length);
  return bytes;
};

const tensorOf = (name: string, type: ElementType, values: Float32Array | BigInt64Array | Uint8Array): OnnxTensor => ({
  ...{ name, type, shape: [values.length] },
  async *pieces() {
    const bytes = new Uint8Array(values.buffer);
    yield bytes.subarray(0, 5);
    yield bytes.subarray(5);
  },
});

const floats = (name: string, count: number): OnnxTensor =>
  tensorOf(
    name,
    "float32",
    Float32Array.from({ length: count }, (_, i) => i - count / 3),
  );

const graphOf = (tensors: readonly OnnxTensor[]): OnnxGraph => ({
  ...{ name: "graph", tensors },
  nodes: [
    {
      ...{ op: "Op", name: "a node", inputs: ["x", ""], outputs: ["y", "é"] },
      attributes: {
        axis: { kind: "whole", value: -1 },
        most: { kind: "whole", value: Number.MAX_SAFE_INTEGER },
        perm: { kind: "wholes", value: [0, -(2 ** 40), 300] },
        none: { kind: "wholes", value: [] },
        epsilon: { kind: "float", value: 1e-5 },
      },
    },
  ],
  inputs: [{ name: "x", type: "int64", shape: ["batch", 2 ** 33, 0] }],
  outputs: [{ name: "y", type: "uint8", shape: [] }],
});

const small = [
  tensorOf("words", "int64", BigInt64Array.of(-1n, 2n ** 40n, 0n)),
  tensorOf("bytes", "uint8", Uint8Array.from([0, 255, 128, 1, 2, 3])),
];

describe("a file of ONNX", () => {
  it("has what the graph has", async () => {
    const files = onnxFiles("model.onnx", graphOf([...small, floats("numbers", 70_000)]));
    expect(Object.keys(files)).toEqual(["model.onnx"]);
    const model = await readWhole(await bytesOf(files["model.onnx"] as LateBytes));
    expect(model.nodes).toEqual([
      {
        ...{ op: "Op", domain: "", name: "a node", inputs: ["x", ""], outputs: ["y", "é"] },
        attributes: new Map<string, number | readonly number[]>([
          ...Object.entries({ axis: -1, most: Number.MAX_SAFE_INTEGER, perm: [0, -(2 ** 40), 300], none: [] }),
          ["epsilon", Math.fround(1e-5)],
        ]),
      },
    ]);
    expect(model.inputs).toEqual([{ name: "x", type: "int64", shape: ["batch", 2 ** 33, 0] }]);
    expect(model.outputs).toEqual([{ name: "y", type: "uint8", shape: [] }]);
    expect([...(model.numbers.get("words")?.data ?? [])]).toEqual([-1, 2 ** 40, 0]);
    expect([...(model.numbers.get("bytes")?.data ?? [])]).toEqual([0, 255, 128, 1, 2, 3]);
    const numbers = model.numbers.get("numbers")?.data ?? new Float64Array();
    expect([numbers[0], numbers.at(-1)]).toEqual([Math.fround(-70_000 / 3), Math.fround(69_999 - 70_000 / 3)]);
  });

  it("has large tensors in files beside it where they are more than one file holds", async () => {
    const tensors = [...small, floats("first", 20_000), floats("second", 5_000), floats("third", 40_000)];
    const files = onnxFiles("model.onnx", graphOf(tensors), { inside: 200_000, beside: 160_000 });
    expect(Object.keys(files)).toEqual(["model.onnx", "model.onnx_data", "model.onnx_data_1"]);
    const beside: Record<string, Uint8Array> = {};
    for (const [name, file] of Object.entries(files)) beside[name] = await bytesOf(file);
    const { "model.onnx": model = new Uint8Array(), ...others } = beside;
    expect(model.length).toBeLessThan(2000);
    const { numbers } = await readWhole(
      await bytesOf(onnxFiles("model.onnx", graphOf(tensors))["model.onnx"] as LateBytes),
    );
    expect((await readWhole(model, others)).numbers).toEqual(numbers);
    // Tensors begin at multiples of 64 KiB, so that they can be mapped into memory. So there is a gap before the second
    // tensor.
    expect(others["model.onnx_data"]).toHaveLength(2 * 65_536 + 20_000);
    expect(others["model.onnx_data_1"]).toHaveLength(160_000);
  });

  it("is not written whole if a tensor gives fewer bytes than it has", async () => {
    const short: OnnxTensor = { ...floats("short", 4), shape: [5] };
    const file = onnxFiles("model.onnx", graphOf([short]))["model.onnx"] as LateBytes;
    await expect(bytesOf(file)).rejects.toThrow("16 bytes instead of 20");
  });
});
