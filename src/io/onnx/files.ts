/** A graph as files: the model's own, and beside it files with the tensors of a model that one file cannot hold. */
import { bytesOfTensor, modelParts, type OnnxGraph, type OnnxTensor, type Outside } from "./model.ts";
import { type LateBytes, lengthOf, piecesOf } from "./wire.ts";

/** Limits of files, in bytes. */
export interface FileLimits {
  /** Most bytes of a model's tensors within its own file: a message of Protocol Buffers has less than 2 GiB. */
  readonly inside: number;
  /** Most bytes of a file of tensors, unless one tensor alone has more: pages hold less than 2 GiB in one array. */
  readonly beside: number;
}

const usualLimits: FileLimits = { inside: 2 ** 31 - 2 ** 26, beside: 2 ** 31 - 2 ** 26 };

/** Tensors stay in the model's file below this many bytes: programs read shapes before they open other files. */
const smallBytes = 1024;

/** Tensors begin at multiples of it, so that they can be mapped into memory. */
const alignment = 2 ** 16;

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;

const zeros = (length: number): LateBytes => ({
  length,
  async *pieces() {
    yield new Uint8Array(length);
  },
});

/** A file of tensors, and where each is. */
interface Beside {
  readonly name: string;
  readonly parts: LateBytes[];
  length: number;
}

/** Distributes the large tensors among files. */
const distribute = (name: string, tensors: readonly OnnxTensor[], most: number) => {
  const files: Beside[] = [];
  const outside = new Map<OnnxTensor, Outside>();
  for (const tensor of tensors) {
    const length = bytesOfTensor(tensor);
    if (length < smallBytes) continue;
    let file = files.at(-1);
    if (file === undefined || aligned(file.length) + length > most) {
      const number = files.length === 0 ? "" : `_${files.length}`;
      file = { name: `${name}_data${number}`, parts: [], length: 0 };
      files.push(file);
    }
    const offset = aligned(file.length);
    if (offset > file.length) file.parts.push(zeros(offset - file.length));
    file.parts.push({ length, pieces: tensor.pieces });
    file.length = offset + length;
    outside.set(tensor, { file: file.name, offset });
  }
  return { files, outside };
};

/** The files of a graph, by name: of each its length, and its bytes in pieces. */
export type OnnxFiles = Readonly<Record<string, LateBytes>>;

/**
 * The files of a graph: `name`, and for a large model `name_data`, `name_data_1` and so on, as transformers.js wants them.
 * @param name of the model's file, as "model.onnx".
 */
export const onnxFiles = (name: string, graph: OnnxGraph, limits: FileLimits = usualLimits): OnnxFiles => {
  const all = graph.tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
  const large = all > limits.inside;
  const { files, outside } = distribute(name, large ? graph.tensors : [], limits.beside);
  const parts = modelParts(graph, outside);
  return Object.fromEntries([
    [name, { length: lengthOf(parts), pieces: () => piecesOf(parts) }],
    ...files.map((file) => [file.name, { length: file.length, pieces: () => piecesOf(file.parts) }] as const),
  ]);
};
