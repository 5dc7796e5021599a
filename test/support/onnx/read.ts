/** Reads an ONNX file, including the numbers of its tensors. */
import { memorySource } from "#foretoken/io/byte-source.js";
import { type ReadModel, readOnnx, type StoredTensor } from "#foretoken/io/onnx/read.js";

/** A tensor of any type, with its numbers in double precision. */
export interface WholeTensor extends Pick<StoredTensor, "type" | "shape"> {
  readonly data: Float64Array;
}

/** A model, and its tensors in memory. */
export interface WholeModel extends ReadModel {
  readonly numbers: ReadonlyMap<string, WholeTensor>;
}

const numbersOf = async ({ type, read }: StoredTensor): Promise<Float64Array> => {
  const bytes = Uint8Array.from(await read());
  switch (type) {
    case "float32":
      return Float64Array.from(new Float32Array(bytes.buffer));
    case "int64":
      return Float64Array.from(new BigInt64Array(bytes.buffer), Number);
    default:
      return Float64Array.from(bytes);
  }
};

/** @param files contents of the external files next to the model, by name. */
export const readWhole = async (
  bytes: Uint8Array,
  files: Readonly<Record<string, Uint8Array>> = {},
): Promise<WholeModel> => {
  const beside = new Map(Object.entries(files).map(([name, content]) => [name, memorySource(content)] as const));
  const model = await readOnnx(memorySource(bytes), "model.onnx", beside);
  const numbers = new Map<string, WholeTensor>();
  for (const [name, tensor] of model.tensors) {
    const { type, shape } = tensor;
    numbers.set(name, { type, shape, data: await numbersOf(tensor) });
  }
  return { ...model, numbers };
};
