/** Damaged or forged ONNX files. */
import { describe, expect, it } from "vitest";
import { memorySource } from "#foretoken/io/byte-source.js";
import { readOnnx } from "#foretoken/io/onnx/read.js";
import { type Part, partsField, piecesOf, textField, wholeField } from "#foretoken/io/onnx/wire.js";

const bytesOf = async (parts: readonly Part[]): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(parts)) pieces.push(piece);
  return Uint8Array.from(Buffer.concat(pieces));
};

/**
 * Fields of a tensor. The numbers in the schema are: 1 for sizes, 2 for the type, 8 for the name, 9 for the bytes, 13
 * for the place in another file, and 14 for a mark that the bytes are in another file.
 */
const tensor = (sizes: readonly number[], type: number, ...rest: readonly Part[]): readonly Part[] =>
  partsField(5, [...sizes.map((size) => wholeField(1, size)), wholeField(2, type), ...textField(8, "w"), ...rest]);
const raw = (length: number): readonly Part[] => partsField(9, [new Uint8Array(length)]);
const place = (entries: Readonly<Record<string, string>>): readonly Part[] => [
  ...Object.entries(entries).flatMap(([key, value]) => partsField(13, [...textField(1, key), ...textField(2, value)])),
  wholeField(14, 1),
];

const model = (...graph: readonly Part[]): Promise<Uint8Array> =>
  bytesOf([wholeField(1, 8), ...partsField(7, graph), ...partsField(8, [...textField(1, ""), wholeField(2, 17)])]);

const beside = new Map([["model.onnx_data", memorySource(new Uint8Array(16))]]);
const read = (bytes: Uint8Array) => readOnnx(memorySource(bytes), "model.onnx", beside);

describe("a file of ONNX that is read", () => {
  it("has tensors of its own and in files beside it, of packed sizes too, and fields that are not read", async () => {
    const packed = partsField(5, [
      ...partsField(1, [Uint8Array.of(2, 0x80, 1)]),
      ...[wholeField(2, 2), ...textField(8, "p"), ...raw(256), ...textField(12, "a note")],
    ]);
    const outside = tensor([2], 1, ...place({ location: "model.onnx_data", offset: "4", length: "8" }));
    const { tensors } = await read(await model(...packed, ...outside));
    expect(tensors.get("p")).toMatchObject({ type: "uint8", shape: [2, 128] });
    expect(await tensors.get("w")?.read()).toHaveLength(8);
  });

  it.each<readonly [what: string, graph: readonly Part[], message: string]>([
    [
      "fewer bytes than sizes",
      tensor([3], 1, ...raw(8)),
      "tensor w must have the number of bytes that [3] float32 needs; got 8",
    ],
    ["forged sizes", tensor([2 ** 40, 2 ** 40], 1, ...raw(8)), "tensor w must have the number of bytes that"],
    [
      "a negative size",
      tensor([-2], 1, ...raw(8)),
      "tensor w must have the number of bytes that [-2] float32 needs; got 8",
    ],
    ["a type of nobody", tensor([2], 10, ...raw(4)), "w must have the element type float32, uint8"],
    ["a type without a tensor", tensor([2], 9, ...raw(2)), "tensor w must be of float32, uint8 or int64; got bool"],
    ["no bytes", tensor([2], 1), "the bytes of w must occur exactly once; got nothing"],
    ["one name twice", [...tensor([1], 2, ...raw(1)), ...tensor([1], 2, ...raw(1))], "its own name; got w twice"],
    ["a file that is not there", tensor([2], 1, ...place({ location: "../x" })), 'next to the model; got "../x"'],
    [
      "a place without a length",
      tensor([2], 1, ...place({ location: "model.onnx_data", offset: "0" })),
      "the length of w must be a whole number",
    ],
    [
      "a place outside its file",
      tensor([2], 1, ...place({ location: "model.onnx_data", offset: "12", length: "8" })),
      "tensor w must end within its file; got a tensor that ends at byte 20 of a file of 16 bytes",
    ],
    ["sparse tensors", partsField(15, []), "a graph must have only nodes and dense tensors; got sparse tensors"],
    [
      "a node without an operator",
      partsField(1, textField(3, "a")),
      "a node's operator must occur exactly once; got nothing",
    ],
    ["a number past 2^53", [...tensor([2 ** 60], 2, ...raw(1))], "numbers must be below 2^53"],
    ["a name that is no text", partsField(1, partsField(4, [Uint8Array.of(255)])), "field 4 must hold UTF-8"],
    ["a field that ends early", [Uint8Array.of(0x0a, 0x05, 0x01)], "must end within its message"],
    ["a type of no message", [Uint8Array.of(0x0b)], "must have a supported Protocol Buffers type; got type 3"],
  ])("is refused in one line: %s", async (_, graph, message) => {
    const refused = read(await model(...graph));
    await expect(refused).rejects.toThrow(/^model\.onnx: /u);
    await expect(refused).rejects.toThrow(message);
  });

  it("is refused wherever it is cut", async () => {
    const whole = await model(...tensor([2], 1, ...raw(8)));
    for (let length = 0; length < whole.length; length++) {
      const cut = await read(whole.subarray(0, length)).catch((error: unknown) => error);
      // A model that is cut off after its graph lacks the version of the operators. The model can be read. The error
      // comes when the graph is executed.
      if (length === whole.length - 6) expect(cut).toMatchObject({ operatorSets: [] });
      else expect(String(cut), `${length} bytes`).toMatch(/^CheckpointError: model\.onnx: /u);
    }
    expect((await read(whole)).operatorSets).toEqual([{ domain: "", version: 17 }]);
    const functions = await bytesOf(partsField(25, []));
    await expect(read(Uint8Array.from([...whole, ...functions]))).rejects.toThrow("functions of its own");
  });
});
