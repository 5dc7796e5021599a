/**
 * Divides a graph into files. The model file contains the graph. For a large model, external data files contain its
 * tensors.
 */
import { bytesOfTensor, modelParts, type OnnxGraph, type OnnxTensor, type Outside } from "./model.ts";
import { type LateBytes, lengthOf, piecesOf } from "./wire.ts";

/** Limits of files, in bytes. */
export interface FileLimits {
  /** Maximum size of all tensors in the model file. A Protocol Buffers message must be smaller than 2 GiB. */
  readonly inside: number;
  /**
   * Maximum size of an external data file, because an array in a page must be smaller than 2 GiB. Only a file with a
   * single tensor may be larger.
   */
  readonly beside: number;
}

const usualLimits: FileLimits = { inside: 2 ** 31 - 2 ** 26, beside: 2 ** 31 - 2 ** 26 };

/**
 * Minimum size of a tensor in an external data file. Smaller tensors stay in the model file, because programs read
 * shapes before they open other files.
 */
const smallBytes = 1024;

/** Alignment in bytes: every tensor's offset is a multiple of this number. So the tensors can be mapped into memory. */
const alignment = 2 ** 16;

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;

const zeros = (length: number): LateBytes => ({
  length,
  async *pieces() {
    yield new Uint8Array(length);
  },
});

/** An external data file with its tensors. */
interface Beside {
  readonly name: string;
  readonly parts: LateBytes[];
  length: number;
}

/** Distributes the large tensors among external data files. */
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

/** The files of a graph by name, each with its length and its bytes in pieces. */
export type OnnxFiles = Readonly<Record<string, LateBytes>>;

/**
 * Divides a graph into files: `name`, and for a large model also `name_data`, `name_data_1` and so on. transformers.js
 * expects these names.
 * @param name name of the model file, for example "model.onnx".
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
