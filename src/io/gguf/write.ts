/**
 * Writes GGUF files, version 3, little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): the header with
 * metadata and the tensors' places, then the tensors, each from a multiple of 32 bytes on.
 */
import type { Shape } from "../../core/tensors/shape.ts";
import { sizeOf } from "../../core/tensors/shape.ts";
import type { Encoder } from "./encoders/encoders.ts";
import { joinBytes, textBytes, u32Bytes, u64Bytes } from "./metadata.ts";

/** A tensor that will be written. */
export interface TensorToWrite {
  readonly name: string;
  /** Row-major, the outermost size first. The last one is a multiple of the encoding's block length. */
  readonly shape: Shape;
  readonly encoder: Pick<Encoder, "type" | "blockLength" | "blockBytes">;
  /** Its encoded bytes in order, some rows at a time: asked for when they are written. */
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** What a file will have. */
export interface GgufContents {
  /** Keys with their values, as `pairBytes` makes them; a key once, `general.alignment` not at all. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly tensors: readonly TensorToWrite[];
}

const alignment = 32;
const version = 3;

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;

/** Bytes that a tensor takes, without the gap after it. */
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

/** Bytes of a file with these contents. */
export const ggufLength = (contents: GgufContents): number =>
  contents.tensors.reduce((sum, tensor) => sum + aligned(bytesOfTensor(tensor)), aligned(headerOf(contents).length));

/**
 * The bytes of a file, piece by piece: tensors are read and encoded when they are asked for.
 * @param onWritten gets the tensors' bytes so far.
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
    if (written !== bytes) throw new Error(`${tensor.name} has ${written} bytes in place of ${bytes}`);
    done += bytes;
    yield new Uint8Array(aligned(bytes) - bytes);
  }
}
