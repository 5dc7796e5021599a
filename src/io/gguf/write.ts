/**
 * Writes GGUF files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), version 3, little-endian. A file has a
 * header with the metadata and the tensors' offsets. The tensors follow the header. Offsets are multiples of 32 bytes.
 */
import type { Shape } from "../../core/tensors/shape.ts";
import { sizeOf } from "../../core/tensors/shape.ts";
import type { Encoder } from "./encoders/encoders.ts";
import { joinBytes, textBytes, u32Bytes, u64Bytes } from "./metadata.ts";

/** A tensor to write. */
export interface TensorToWrite {
  readonly name: string;
  /** Row-major shape: the outermost size first. The last size must be a multiple of the encoding's block length. */
  readonly shape: Shape;
  readonly encoder: Pick<Encoder, "type" | "blockLength" | "blockBytes">;
  /**
   * Yields the encoded bytes in order, a few rows at a time. The writer calls this function when it writes the tensor.
   */
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** Contents of a file. */
export interface GgufContents {
  /** Keys with their values, encoded by `pairBytes`. The keys must not include `general.alignment`. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly tensors: readonly TensorToWrite[];
}

const alignment = 32;
const version = 3;

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;

/** Size of a tensor in bytes, without padding. */
export const bytesOfTensor = ({ shape, encoder }: Pick<TensorToWrite, "shape" | "encoder">): number =>
  (sizeOf(shape) / encoder.blockLength) * encoder.blockBytes;

const headerOf = ({ metadata, tensors }: GgufContents): Uint8Array => {
  const infos: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, encoder } = tensor;
    infos.push(textBytes(name), u32Bytes(shape.length), ...shape.toReversed().map(u64Bytes));
    infos.push(u32Bytes(encoder.type), u64Bytes(offset));
    offset += aligned(bytesOfTensor(tensor));
  }
  return joinBytes([
    ...[new TextEncoder().encode("GGUF"), u32Bytes(version), u64Bytes(tensors.length), u64Bytes(metadata.size)],
    ...[...metadata.values(), ...infos],
  ]);
};

/** Size in bytes of a file with these contents. */
export const ggufLength = (contents: GgufContents): number =>
  contents.tensors.reduce((sum, tensor) => sum + aligned(bytesOfTensor(tensor)), aligned(headerOf(contents).length));

/**
 * Yields the bytes of a file piece by piece. Each tensor is read and encoded only when it is written.
 * @param onWritten gets the number of tensor bytes written so far.
 */
export async function* ggufPieces(
  contents: GgufContents,
  onWritten: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = headerOf(contents);
  yield header;
  yield new Uint8Array(aligned(header.length) - header.length);
  let done = 0;
  for (const tensor of contents.tensors) {
    const bytes = bytesOfTensor(tensor);
    let written = 0;
    for await (const piece of tensor.pieces()) {
      written += piece.length;
      yield piece;
      onWritten(done + written);
    }
    if (written !== bytes) throw new Error(`${tensor.name} has ${written} bytes instead of ${bytes}`);
    done += bytes;
    yield new Uint8Array(aligned(bytes) - bytes);
  }
}
